import Foundation
import Testing

@Suite(
    "Scripts through tenon pipe", .serialized, .timeLimit(.minutes(5)), .enabled(if: Binary.isThere)
)
struct PipeTests {
    @Test("Requests are answered by id, a malformed line is answered and skipped")
    func conversation() async throws {
        try await TestCluster.with { cluster in
            let input = """
                {"id":1,"op":"put","key":"a","value":"1"}
                {"id":"two","op":"get","key":"a","wait":true}
                this is no JSON
                {"id":[3],"op":"put","key":"a","value":"2","if":{"absent":true},"wait":true}
                {"id":4,"op":"txn","if":[{"key":"a","value":"1"}],"then":[{"op":"put","key":"b","value":"x"}],"wait":true}
                {"id":5,"op":"scan","prefix":"","wait":true}

                """
            let result = try await cluster.tenon("pipe", input: input)
            #expect(result.exitCode == 0, "\(result.errors)")
            let answers = try result.output.split(separator: "\n").map { line in
                try #require(
                    try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            }
            func answer(_ id: String) -> [String: Any]? {
                answers.first { "\($0["id"] ?? "")" == id }
            }
            #expect(answer("1")?["ok"] as? Bool == true)
            #expect(answer("two")?["value"] as? String == "1")
            #expect((answer("two")?["at"] as? [String: Any])?["version"] is String)
            #expect(answers.contains { $0["error"] as? String == "conditionFailed" })
            #expect(answers.contains { $0["error"] as? String == "invalid" })
            #expect(answer("4")?["succeeded"] as? Bool == true)
            #expect((answer("5")?["items"] as? [Any])?.count == 2)
        }
    }
}
