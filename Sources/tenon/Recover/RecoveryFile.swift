import Foundation
import TenonChecker
import TenonCore
import TenonNode

/// Reports and plans as files: JSON that a person can read, with the record that the next step
/// reads beside it. The record has a checksum: what is edited by hand has no effect.
enum RecoveryFile {
    private static let bytesMax = 256 << 20

    static func json(of reports: [SurvivorReport]) -> JSON { .array(reports.map(\.json)) }

    static func write(_ reports: [SurvivorReport], to path: String) throws(ClusterError) {
        try LocalFile.write(json(of: reports).text + "\n", to: path)
    }

    static func write(_ plan: RecoveryPlan, to path: String) throws(ClusterError) {
        try LocalFile.write(plan.json.text + "\n", to: path)
    }

    /// The reports of a file.
    static func reports(at path: String) throws(InputError) -> [SurvivorReport] {
        guard case .array(let items) = try parse(try bytes(of: path), path) else {
            throw InputError("\(path) is no report: give what `tenon recover inspect` wrote")
        }
        var reports: [SurvivorReport] = []
        for item in items {
            let record = try record(in: item, path)
            do throws(DecodingError) {
                reports.append(try SurvivorReport(decoding: record))
            } catch {
                throw InputError("\(path) is no report, or damaged (\(error)): inspect again")
            }
        }
        return reports
    }

    /// The plan of a file, or of a folder in which it was begun.
    static func plan(at path: String) throws(InputError) -> RecoveryPlan {
        let bytes = try bytes(of: path)
        let isText = bytes.first == UInt8(ascii: "{")
        let record = isText ? try record(in: try parse(bytes, path), path) : bytes
        do throws(DecodingError) {
            return try RecoveryPlan(decoding: record)
        } catch {
            throw InputError("\(path) is no plan, or damaged (\(error)): plan again")
        }
    }

    private static func bytes(of path: String) throws(InputError) -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw InputError("cannot read \(path): is it there?")
        }
        guard data.count <= bytesMax else { throw InputError("\(path) is over \(bytesMax) B") }
        return [UInt8](data)
    }

    private static func parse(_ bytes: [UInt8], _ path: String) throws(InputError) -> JSON {
        do throws(JSONError) {
            return try JSONParser.parse(bytes[...])
        } catch {
            throw InputError("\(path) is no JSON: \(error)")
        }
    }

    private static func record(in json: JSON, _ path: String) throws(InputError) -> [UInt8] {
        guard case .string(let text)? = json["record"], let bytes = Base64.decode(text) else {
            throw InputError("\(path) has no record: give what `tenon recover` wrote")
        }
        return bytes.array
    }
}
