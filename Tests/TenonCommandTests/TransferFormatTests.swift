import TenonCore
import Testing

@testable import tenon

@Suite("Formats of import and export")
struct TransferFormatTests {
    private func problem(_ format: TransferFormat, _ line: [UInt8]) -> String? {
        do throws(InputError) {
            _ = try format.record(of: line[...])
            return nil
        } catch {
            return error.description
        }
    }

    private func problem(_ format: TransferFormat, _ line: String) -> String? {
        problem(format, Array(line.utf8))
    }

    /// A record of `letters`, the line that it gives, and the record that the line gives.
    private func expectRoundTrips(_ format: TransferFormat, letters: [[UInt8]]) throws {
        var random = SeededGenerator(seed: 3)
        func text() -> Bytes {
            Bytes(
                (0..<random.below(12)).flatMap { _ in
                    letters[Int(random.below(UInt64(letters.count)))]
                })
        }
        for _ in 0..<5_000 {
            let (key, value) = (text(), text())
            var line: [UInt8] = []
            try format.write(key: key, value: value, to: &line)
            #expect(line.last == 10 && line.dropLast().allSatisfy { $0 != 10 })
            // As a slice of something longer, as lines are.
            let record = try format.record(of: ([1, 2, 3] + line)[3...].dropLast())
            #expect(record.key == key && record.value == value)
        }
    }

    @Test("TSV gives back every text, tabs, line feeds and backslashes included")
    func tabSeparated() throws {
        let letters = ["a", "t", "n", "\t", "\n", "\\", "\r", "é", "😀", "\u{0}", " ", "\"", ","]
        try expectRoundTrips(.tsv, letters: letters.map { Array($0.utf8) })
    }

    @Test("NDJSON gives back every byte string")
    func lines() throws {
        try expectRoundTrips(
            .ndjson, letters: (0..<256).map { [UInt8($0)] } + [Array("é😀".utf8)])
    }

    @Test("TSV refuses what it cannot tell apart or hold")
    func tabSeparatedErrors() {
        #expect(problem(.tsv, "no tab")?.contains("no tab") == true)
        #expect(problem(.tsv, "")?.contains("no tab") == true)
        #expect(problem(.tsv, "a\tb\tc")?.contains("second tab") == true)
        #expect(problem(.tsv, "a\tb\\")?.contains("backslash") == true)
        #expect(problem(.tsv, "a\\x\tb")?.contains("backslash") == true)
        #expect(problem(.tsv, [0x61, 9, 0xFF])?.contains("UTF-8") == true)
        #expect(problem(.tsv, "\t") == nil)
        var output: [UInt8] = []
        #expect(throws: InputError.self) {
            try TransferFormat.tsv.write(key: Bytes([0xFF]), value: Bytes(), to: &output)
        }
        #expect(output.isEmpty)
    }

    @Test(
        "NDJSON refuses lines without one key and one value",
        arguments: [
            "", "[]", "1", "{}", #"{"key":"a"}"#, #"{"value":"a"}"#, #"{"key":1,"value":"a"}"#,
            #"{"key":"a","key64":"YQ==","value":"a"}"#, #"{"key64":"?","value":"a"}"#,
            #"{"key":"a","value":null}"#, #"{"key":"a","value":"b"} x"#,
        ])
    func lineErrors(line: String) {
        #expect(problem(.ndjson, line) != nil)
    }
}
