import TenonClient
import TenonCore
import Testing

@testable import tenon

@Suite("Requests of tenon pipe")
struct PipeRequestTests {
    private func request(_ text: String) throws -> PipeRequest {
        try PipeRequest(JSONParser.parse(Array(text.utf8)[...]))
    }

    /// What is wrong with a request; nil when nothing is.
    private func problem(_ text: String) -> String? {
        do {
            _ = try request(text)
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// What a request asks for, as text: the work has no equality of its own.
    private func work(_ text: String) throws -> String { "\(try request(text).work)" }

    @Test("Each op is read with its fields, those of bytes as text or in base64")
    func operations() throws {
        guard
            case .put("k", "v", .none) = try request(#"{"op":"put","key":"k","value":"v"}"#).work,
            case .put("k", "\u{0}", .absent) = try request(
                #"{"op":"put","key64":"aw==","value64":"AA==","if":{"absent":true}}"#
            ).work,
            case .get("k", at: Version(7), .none) = try request(#"{"op":"get","key":"k","at":"7"}"#)
                .work,
            case .get("k", at: Version(8), .none) = try request(
                #"{"op":"get","key":"k","at":8}"#
            ).work,
            case .getMany(["a", "b", "c"], at: nil, .none) = try request(
                #"{"op":"getMany","keys":["a","b","c"]}"#
            ).work,
            case .getMany(["k"], at: nil, .none) = try request(
                #"{"op":"getMany","keys64":["aw=="]}"#
            ).work,
            case .delete("k", .version(Version(3))) = try request(
                #"{"op":"delete","key":"k","if":{"version":"3"}}"#
            ).work,
            case .deleteRange(from: "a", to: "b") = try request(
                #"{"op":"deleteRange","from":"a","to64":"Yg=="}"#
            ).work,
            case .deleteRange(from: "", to: nil) = try request(#"{"op":"deleteRange"}"#).work,
            case .scan(let range, limit: 1_000, at: nil, page: nil, .none) = try request(
                #"{"op":"scan","prefix":"p/","reverse":true}"#
            ).work
        else {
            Issue.record("an op was read otherwise")
            return
        }
        #expect(range == ScanRange(prefix: "p/", isReversed: true))
    }

    @Test("A read says how old what it gives may be")
    func staleness() throws {
        guard
            case .get("k", at: nil, .within(milliseconds: 2_000)) = try request(
                #"{"op":"get","key":"k","staleWithinMs":2000}"#
            ).work,
            case .getMany(["k"], at: nil, .any) = try request(
                #"{"op":"getMany","keys":["k"],"stale":true}"#
            ).work,
            case .scan(_, limit: 1_000, at: nil, page: nil, .within(milliseconds: 1)) = try request(
                #"{"op":"scan","staleWithinMs":1,"stale":false}"#
            ).work
        else {
            Issue.record("a bound was read otherwise")
            return
        }
    }

    @Test("What was read of a replica says how old it may be, and a linearizable read does not")
    func ages() {
        let point = Point(tablet: TabletID(2), version: Version(7))
        let value = StoredValue(bytes: "v", version: Version(5))
        let linearizable = AnswerJSON.got(Stood(value, at: point))
        #expect(linearizable["stale"] == nil)
        let old = AnswerJSON.got(Stood(value, at: point, age: .within(milliseconds: 120)))
        #expect(old["stale"] == ["withinMs": 120])
        let unknown = AnswerJSON.gotMany([
            Stood(value, at: point, age: .unknown), Stood(value, at: point),
        ])
        #expect(unknown["stale"] == ["withinMs": .null])
    }

    @Test("A transaction is read with conditions and both lists")
    func transaction() throws {
        let text = """
            {"op":"txn","if":[{"key":"a","value":"1"},{"key":"b","absent":true},
            {"key":"c","version":"9"}],"then":[{"op":"put","key":"a","value":"2"},
            {"op":"delete","key":"b"},{"op":"deleteRange","from":"c"}],
            "else":[{"op":"get","key":"a"}]}
            """
        guard case .transaction(let conditions, let then, let otherwise) = try request(text).work
        else {
            Issue.record("no transaction")
            return
        }
        #expect(
            conditions == [
                KeyCondition(key: "a", condition: .value("1")),
                KeyCondition(key: "b", condition: .absent),
                KeyCondition(key: "c", condition: .version(Version(9))),
            ])
        #expect(
            then == [
                .put(key: "a", value: "2", condition: .none), .delete(key: "b", condition: .none),
                .deleteRange(from: "c", to: nil),
            ])
        #expect(otherwise == [.get(key: "a")])
    }

    @Test(
        "An id of any kind is kept as it was given",
        arguments: [
            "1", "-1.50e3", "123456789012345678901234567890", "\"two\"", "null", "true", "[3,[4]]",
            "{\"a\":{\"b\":\"\\\"\"}}",
        ])
    func ids(id: String) throws {
        #expect(try request("{\"id\":\(id),\"op\":\"get\",\"key\":\"k\"}").id?.text == id)
    }

    @Test("What a request does not say has its default")
    func defaults() throws {
        let plain = try request(#"{"op":"get","key":"k"}"#)
        #expect(plain.id == nil && plain.keyspace == "default" && !plain.isToWait)
        #expect(plain.timeout == .seconds(5))
        let full = try request(
            #"{"op":"get","key":"k","keyspace":"x","wait":true,"timeoutMs":250}"#)
        #expect(full.keyspace == "x" && full.isToWait && full.timeout == .milliseconds(250))
    }

    @Test(
        "A request that is wrong is refused with what is wrong",
        arguments: [
            ("1", "object"), ("[]", "object"), ("{}", "\"op\" is missing"),
            (#"{"op":1}"#, "\"op\" is not a string"), (#"{"op":"frob"}"#, "no op"),
            (#"{"op":"put","key":"k"}"#, "\"value\" is missing"),
            (#"{"op":"put","value":"v"}"#, "\"key\" is missing"),
            (#"{"op":"put","key":1,"value":"v"}"#, "\"key\" is not a string"),
            (#"{"op":"put","key":"k","key64":"aw==","value":"v"}"#, "not both"),
            (#"{"op":"get","key64":"k"}"#, "not base64"),
            (#"{"op":"get","key":"k","at":"x"}"#, "not a version"),
            (#"{"op":"get","key":"k","at":-1}"#, "not a version"),
            (#"{"op":"get","key":"k","at":18446744073709551616}"#, "not a version"),
            (#"{"op":"get","key":"k","at":true}"#, "not a version"),
            (#"{"op":"get","key":"k","timeoutMs":0}"#, "timeoutMs"),
            (#"{"op":"get","key":"k","timeoutMs":1.5}"#, "timeoutMs"),
            (#"{"op":"get","key":"k","timeoutMs":"5"}"#, "timeoutMs"),
            (#"{"op":"get","key":"k","timeoutMs":99999999999999999999}"#, "timeoutMs"),
            (#"{"op":"get","key":"k","staleWithinMs":0}"#, "staleWithinMs"),
            (#"{"op":"get","key":"k","staleWithinMs":"2s"}"#, "staleWithinMs"),
            (#"{"op":"get","key":"k","stale":"yes"}"#, "\"stale\" is not true or false"),
            (#"{"op":"get","key":"k","stale":true,"staleWithinMs":5}"#, "not both"),
            (#"{"op":"get","key":"k","wait":1}"#, "\"wait\" is not true or false"),
            (#"{"op":"get","key":"k","keyspace":null}"#, "\"keyspace\" is not a string"),
            (#"{"op":"getMany","keys":"a"}"#, "not a list"),
            (#"{"op":"getMany","keys":[1]}"#, "a key is a string"),
            (#"{"op":"getMany","keys":["a"],"keys64":["YQ=="]}"#, "not both"),
            (#"{"op":"scan","limit":0}"#, "limit"), (#"{"op":"scan","limit":10001}"#, "limit"),
            (#"{"op":"scan","page":"?"}"#, "page token"),
            (#"{"op":"delete","key":"k","if":true}"#, "\"if\" is not an object"),
            (#"{"op":"delete","key":"k","if":{}}"#, "needs"),
            (#"{"op":"delete","key":"k","if":{"absent":true,"value":"v"}}"#, "one of"),
            (#"{"op":"txn","if":[{"key":"k"}]}"#, "a condition needs"),
            (#"{"op":"txn","if":[{"absent":true}]}"#, "\"key\" is missing"),
            (#"{"op":"txn","then":{}}"#, "not a list"),
            (#"{"op":"txn","then":[{"op":"scan"}]}"#, "an op of a txn"),
        ])
    func refused(text: String, reason: String) {
        #expect(problem(text)?.contains(reason) == true, "\(text): \(problem(text) ?? "taken")")
    }

    @Test("A conditional write's refusal carries what the key had; every error says its outcome")
    func failures() throws {
        let current = StoredValue(bytes: "now", version: Version(5))
        let failed = AnswerJSON.failure(
            TenonError(.conditionFailed, .notApplied, "no", current: current))
        #expect(failed["ok"] == false && failed["error"] == "conditionFailed")
        #expect(failed["value"] == "now" && failed["version"] == "5" && failed["found"] == true)
        let overloaded = AnswerJSON.failure(
            TenonError(.overloaded, .notApplied, "full", retryAfter: .milliseconds(20)))
        #expect(overloaded["retryAfterMs"] == 20)
        let lost = AnswerJSON.failure(TenonError(.unavailable, .unknown, "lost"))
        #expect(lost["outcome"] == "unknown" && lost["message"] == "lost")
    }
}
