import TenonChecker
import TenonCore
import Testing

@Suite("History file")
struct HistoryFileTests {
    private static func example() -> [HistoryOperation] {
        var history = HistoryBuilder()
        history.put("k", "va\"l\\ue\n\u{1F600}\u{1}", 0...10, at: 1 << 63)
        history.put([0xFF, 0], [0xFE], 1...2, .unknown)
        history.get("k", nil, 3...4, at: 12)
        history.get("k", "v", 3...4, version: 7, at: 12)
        history.delete("k", 5...6, found: true, at: 13)
        for expect in [Condition.absent, .present, .none, .version(Timestamp(3)), .value([0xFF])] {
            history.compareAndSet("k", expect, "n", 7...8, .fail, saw: .value([0x80]))
        }
        history.scan(
            "a", "b", [("a", "1"), ([0xFF], "2")], 9...10, at: 14, limit: 2, isReverse: true)
        history.deleteRange("a", nil, 11...12, at: 15)
        history.add(.other(name: "watch"), 13...14, .ok, at: 16)
        history.scan("a", nil, [], 15...16, at: 16, rest: "q")
        history.getMany(["a", "b"], [StoredValue("1", 9), nil], 15...16, at: 16)
        history.getMany(["a", [0xFF]], [nil, StoredValue([0xFE], 9)], 15...16, at: 16)
        history.compareAndDelete("k", .version(Timestamp(3)), 17...18, found: true, at: 17)
        history.compareAndDelete("k", .absent, 17...18, .fail, saw: .value("x"), at: 17)
        history.transaction(
            if: [
                KeyCondition(key: "a", condition: .absent),
                KeyCondition(key: "b", condition: .present),
                KeyCondition(key: [0xFF], condition: .value([0xFE])),
                KeyCondition(key: "c", condition: .version(Timestamp(7))),
            ],
            then: [
                .put("a", "1", if: .absent), .put("q", "1"),
                .delete("b", if: .version(Timestamp(5))),
                .delete("c"), .get(key: "b"), .get(key: "e"), .deleteRange(from: "x", to: nil),
                .deleteRange(from: "x", to: "y"), .put("d", "1", if: .present),
            ],
            else: [.get(key: "a")], 19...20,
            [
                .written, .written, .deleted(found: true), .deleted(found: false),
                .value(StoredValue([0x80], 4)), .value(nil), .written, .written,
                .conditionFailed(current: nil),
            ], at: 18)
        history.transaction(
            then: [], else: [.put("a", "1", if: .value("b"))], 21...22, succeeded: false,
            [.conditionFailed(current: StoredValue("c", 8))], at: 19)
        history.unknownTransaction(then: [.put("a", "1")], 23...24)
        return history.operations
    }

    @Test("What is written reads back equal")
    func roundTrip() throws {
        let operations = HistoryFileTests.example()
        #expect(try HistoryFile.decode(HistoryFile.encode(operations)) == operations)
    }

    @Test("The form of a line is fixed")
    func goldenLine() {
        var history = HistoryBuilder()
        history.put("k", "v", 5...9, at: 77)
        let line =
            #"{"p":0,"t0":5,"t1":9,"op":"put","key":"k","value":"v","res":"ok","version":"77","#
            + #""at":{"tablet":2,"version":"77"}}"# + "\n"
        #expect(String(decoding: HistoryFile.encode(history.operations), as: UTF8.self) == line)
    }

    @Test("Fields may stand in any order, unknown ones are skipped, empty lines too")
    func foreignWriter() throws {
        let text = """

            { "res" : "ok", "key64":"/wA=", "x":[1,{"y":-2.5e3}], "op":"get", "read":null,
            """.split(separator: "\n").joined() + #" "t1":9,"t0":5,"p":3 }"# + "\r\n"
        let operation = try #require(try HistoryFile.decode(Array(text.utf8)).first)
        #expect(operation.action == .get(key: [0xFF, 0]))
        #expect(operation.read == .absent)
        #expect(operation.worker == 3)
    }

    @Test(
        "What is not a history is refused with its line",
        arguments: [
            "{", "[]", "{}", #"{"p":1}"#, #"{"p":1,"t0":2,"t1":1,"op":"get","key":"k","res":"ok"}"#,
            #"{"p":-1,"t0":2,"t1":3,"op":"get","key":"k","res":"ok"}"#,
            #"{"p":1,"t0":2,"t1":3,"op":"get","res":"ok"}"#,
            #"{"p":1,"t0":2,"t1":3,"op":"get","key64":"!!!!","res":"ok"}"#,
            #"{"p":1,"t0":2,"t1":3,"op":"get","key":"\ud800","res":"ok"}"#,
            #"{"p":1,"t0":2,"t1":3,"op":"get","key":"k","res":"fine"}"#,
            #"{"p":1,"t0":2,"t1":3,"op":"get","key":"k","res":"ok"} x"#,
            String(repeating: "[", count: 100_000),
        ])
    func malformedLines(line: String) {
        #expect(throws: HistoryError.self) { try HistoryFile.decode(Array(("\n" + line).utf8)) }
    }

    @Test("Cut anywhere, a line is refused and never read as another")
    func truncations() {
        let line = Array(HistoryFile.encode([HistoryFileTests.example()[10]]).dropLast())
        for count in 1..<line.count {
            #expect(throws: HistoryError.self) { try HistoryFile.decode(Array(line[..<count])) }
        }
    }

    @Test("Random bytes never crash the reader")
    func randomBytes() {
        var generator = SeededGenerator(seed: 7)
        let alphabet = Array(#"{}[]":,\u0129aeltrsfn "#.utf8) + [0xFF, 0x00, 0xC3]
        for _ in 0..<20_000 {
            let line = (0..<generator.below(40)).map { _ in
                alphabet[Int(generator.below(UInt64(alphabet.count)))]
            }
            _ = try? HistoryFile.decode(line)
        }
    }

    @Test(
        "Base64 is that of RFC 4648",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
        ])
    func base64(plain: String, encoded: String) {
        #expect(Base64.encode(Bytes(plain)) == encoded)
        #expect(Base64.decode(encoded) == Bytes(plain))
    }

    @Test(
        "Base64 that is not canonical is refused",
        arguments: ["Zg=", "Zh==", "Z===", "Zm 8", "===="])
    func foreignBase64(text: String) {
        #expect(Base64.decode(text) == nil)
    }
}

@Suite("SHA-256")
struct SHA256Tests {
    @Test(
        "Digests are those of FIPS 180-4",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func vectors(message: String, digest: String) {
        #expect(SHA256.hexadecimalDigest(of: Array(message.utf8)) == digest)
    }

    @Test("A message in pieces has the digest of the whole")
    func pieces() {
        let message = (0..<1_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var hash = SHA256()
        for start in stride(from: 0, to: message.count, by: 7) {
            hash.update(Array(message[start..<min(start + 7, message.count)]))
        }
        let digest = hash.finalize().map { hexadecimal(UInt64($0), digits: 2) }.joined()
        #expect(digest == SHA256.hexadecimalDigest(of: message))
    }
}
