import ArgumentParser
import TenonCore

/// The text formats of import and export. What one writes the other reads back, byte for byte.
enum TransferFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// `key<TAB>value` with `\t`, `\n` and `\\` escaped.
    case tsv
    /// `{"key"|"key64":…,"value"|"value64":…}`
    case ndjson

    /// The record of a line.
    ///
    /// - Throws: what is wrong with it.
    func record(of line: ArraySlice<UInt8>) throws(InputError) -> (key: Bytes, value: Bytes) {
        switch self {
        case .tsv: return try TabSeparated.record(of: line)
        case .ndjson:
            do throws(JSONError) {
                let json = try JSONParser.parse(line)
                return (
                    try TransferFormat.bytes(json, "key"), try TransferFormat.bytes(json, "value")
                )
            } catch {
                throw InputError(error.description)
            }
        }
    }

    /// Appends the line of a record.
    ///
    /// - Throws: for bytes that the format cannot hold.
    func write(key: Bytes, value: Bytes, to output: inout [UInt8]) throws(InputError) {
        switch self {
        case .tsv:
            guard key.utf8Text != nil, value.utf8Text != nil else {
                throw InputError("the key \(key) or its value is not UTF-8; use --format ndjson")
            }
            TabSeparated.write(key: key, value: value, to: &output)
        case .ndjson:
            JSON.object([AnswerJSON.bytes("key", key), AnswerJSON.bytes("value", value)])
                .write(to: &output)
            output.append(UInt8(ascii: "\n"))
        }
    }

    private static func bytes(_ json: JSON, _ name: String) throws(JSONError) -> Bytes {
        switch (json[name], json[name + "64"]) {
        case (.string(let text)?, nil): return Bytes(text)
        case (nil, .string(let text)?):
            guard let bytes = Base64.decode(text) else {
                throw JSONError("\"\(name)64\" is not base64")
            }
            return bytes
        default: throw JSONError("\"\(name)\" or \"\(name)64\", a string, is missing")
        }
    }
}

/// `key<TAB>value<LF>`, UTF-8.
enum TabSeparated {
    private static let tab = UInt8(ascii: "\t")
    private static let lineFeed = UInt8(ascii: "\n")
    private static let backslash = UInt8(ascii: "\\")

    /// Appends a line.
    static func write(key: Bytes, value: Bytes, to output: inout [UInt8]) {
        escape(key, to: &output)
        output.append(tab)
        escape(value, to: &output)
        output.append(lineFeed)
    }

    private static func escape(_ bytes: Bytes, to output: inout [UInt8]) {
        for byte in bytes.array {
            switch byte {
            case tab: output += "\\t".utf8
            case lineFeed: output += "\\n".utf8
            case backslash: output += "\\\\".utf8
            default: output.append(byte)
            }
        }
    }

    /// The record of a line.
    static func record(of line: ArraySlice<UInt8>) throws(InputError) -> (key: Bytes, value: Bytes)
    {
        guard let split = line.firstIndex(of: tab) else {
            throw InputError("no tab between key and value")
        }
        guard line[(split + 1)...].firstIndex(of: tab) == nil else {
            throw InputError("a second tab (in a key or a value it stands as \\t)")
        }
        guard String(validating: line, as: UTF8.self) != nil else {
            throw InputError("not UTF-8 (use --format ndjson for other bytes)")
        }
        return (try unescape(line[..<split]), try unescape(line[(split + 1)...]))
    }

    private static func unescape(_ bytes: ArraySlice<UInt8>) throws(InputError) -> Bytes {
        guard bytes.contains(backslash) else { return Bytes(Array(bytes)) }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var rest = bytes
        while let byte = rest.popFirst() {
            guard byte == backslash else {
                output.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "t"): output.append(tab)
            case UInt8(ascii: "n"): output.append(lineFeed)
            case backslash: output.append(backslash)
            default: throw InputError("a backslash that escapes nothing (there are \\t, \\n, \\\\)")
            }
        }
        return Bytes(output)
    }
}
