import TenonCore
import Testing

@testable import tenon

@Suite("JSON")
struct JSONTests {
    private func parse(_ text: String) throws(JSONError) -> JSON {
        try JSONParser.parse(Array(text.utf8)[...])
    }

    private func problem(_ text: String) -> String? {
        do throws(JSONError) {
            _ = try parse(text)
            return nil
        } catch {
            return error.description
        }
    }

    @Test(
        "What is read is written as it came",
        arguments: [
            "null", "true", "false", "0", "-0", "-1.50", "1e400", "2E-7", "1e+5",
            "12345678901234567890123456789", "\"\"", "\"a\\\"b\\\\c\\n\\t\\r\"", "\"é😀\"", "[]",
            "{}",
            "[1,[2,[3]],{\"a\":null}]", "{\"b\":1,\"a\":{\"c\":[true,false]}}",
            "\"\\u0001\\u001f\"",
        ])
    func roundTrip(text: String) throws {
        #expect(try parse(text).text == text)
        #expect(try parse(" \t\r\n\(text) ").text == text)
    }

    @Test("Escapes stand for their characters, surrogate pairs for one")
    func escapes() throws {
        #expect(try parse(#""\"\\\/\b\f\n\r\t""#) == "\"\\/\u{8}\u{C}\n\r\t")
        #expect(try parse(#""\u0000\u00e9\u20AC\ud83d\uDE00""#) == "\u{0}é€😀")
    }

    @Test(
        "What is no JSON is refused",
        arguments: [
            "", " ", "nul", "tru", "True", "01", "1.", "-", "+1", ".5", "1e", "1e+", "0x10", "NaN",
            "[", "]", "[1,]", "[1 2]", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:2}",
            "\"", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud83d\"",
            "\"\\ud83dx\"", "\"\\ud83d\\n\"", "\"\\ud83d\\u0041\"", "\"\\ude00\"", "\"\u{1}\"",
            "\"a\nb\"", "1 2", "{} {}", "\u{B}1", "\u{C}1", "\u{FEFF}1", "{\"a\":1,\"a\":2}", "'a'",
            "//1",
        ])
    func refused(text: String) {
        #expect(problem(text)?.contains("at byte") == true, "\(text)")
    }

    @Test("Names that only look alike are two names")
    func canonicalEquivalence() throws {
        let json = try parse("{\"\u{E9}\":1,\"e\u{301}\":2}")
        #expect(json.text == "{\"\u{E9}\":1,\"e\u{301}\":2}")
    }

    @Test("Depth and width are bounded, and a line of a million brackets is only an error")
    func bounds() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(try parse(nested(64)).text == nested(64))
        #expect(problem(nested(66))?.contains("nested too deep") == true)
        #expect(problem(String(repeating: "[", count: 1_000_000)) != nil)
        #expect(problem(String(repeating: "{\"a\":", count: 1_000_000)) != nil)
        func wide(_ width: Int) -> String {
            "{" + (0..<width).map { "\"\($0)\":0" }.joined(separator: ",") + "}"
        }
        #expect(problem(wide(JSONParser.membersMax)) == nil)
        #expect(problem(wide(JSONParser.membersMax + 1))?.contains("members") == true)
    }

    @Test("A string of other bytes than UTF-8 is refused, with what to do")
    func otherBytes() {
        let strings: [[UInt8]] = [[0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0x80]]
        for bytes in strings {
            let problem = #expect(throws: JSONError.self) {
                try JSONParser.parse(([0x22] + bytes + [0x22])[...])
            }
            #expect(problem?.description.contains("key64") == true)
        }
    }

    @Test("Garbage is refused or read, never worse, and what is read is written and read the same")
    func garbage() {
        var random = SeededGenerator(seed: 17)
        let sample = Array(
            #"{"id":[1,{"a":"\ud83d\ude00"}],"op":"put","key":"k","value":"v\n","n":-1.5e3}"#.utf8)
        let pieces = Array("{}[]\",:\\u0123dDeE+-.tfn \u{1}".utf8) + [0xFF, 0xC3]
        for _ in 0..<30_000 {
            var bytes = sample
            for _ in 0...random.below(4) {
                let place = Int(random.below(UInt64(bytes.count)))
                switch random.below(3) {
                case 0: bytes[place] = pieces[Int(random.below(UInt64(pieces.count)))]
                case 1: bytes.remove(at: place)
                default: bytes.insert(pieces[Int(random.below(UInt64(pieces.count)))], at: place)
                }
            }
            guard let json = try? JSONParser.parse(bytes[...]) else { continue }
            #expect((try? JSONParser.parse(json.bytes[...])) == json)
        }
    }

    @Test("Every character is written so that it is read back")
    func everyCharacter() throws {
        for code in UInt32(0)..<0x3000 {
            guard let scalar = Unicode.Scalar(code) else { continue }
            let json = JSON.string("a\(Character(scalar))b")
            #expect(try JSONParser.parse(json.bytes[...]).text == json.text)
            #expect(!json.bytes.contains { $0 < 0x20 })
        }
    }

    @Test("Decimals have as many digits as asked, and no value breaks them")
    func decimals() {
        #expect(JSON.decimal(1.5, digits: 3).text == "1.500")
        #expect(JSON.decimal(-0.25, digits: 2).text == "-0.25")
        #expect(JSON.decimal(-0.0004, digits: 3).text == "0.000")
        #expect(JSON.decimal(0.9996, digits: 3).text == "1.000")
        #expect(JSON.decimal(7, digits: 0).text == "7")
        for value in [Double.nan, .infinity, -.infinity] {
            #expect(JSON.decimal(value, digits: 3) == .null)
        }
        #expect(JSON.decimal(1e300, digits: 3).text == "1e+300")
        #expect(JSON.decimal(1e17, digits: 3).text == "100000000000000000")
    }
}
