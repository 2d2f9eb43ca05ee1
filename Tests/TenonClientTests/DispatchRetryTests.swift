import TenonCore
import TenonWire
import Testing

@testable import TenonClient

@Suite struct DispatchRetryTests {
    @Test func `At the deadline what a node answered is told beside the last failure`() {
        var random = SeededGenerator(seed: 1)
        let policy = PausePolicy(shortest: .milliseconds(1), longest: .milliseconds(10))
        var attempts = Attempts(isWrite: false)
        _ = attempts.refused(
            Refusal(.unavailable, "ask for any age"), isLeaderKnown: false, pausing: policy,
            &random)
        #expect(attempts.expired(isUnderWay: false).message.hasSuffix("attempt: ask for any age"))
        _ = attempts.unsent("connection refused", pausing: policy, &random)
        let message = attempts.expired(isUnderWay: false).message
        #expect(message.contains("the last attempt: connection refused"))
        #expect(message.hasSuffix("the last answer of a node: ask for any age"))
    }

    @Test func `A write whose connection is lost is sent again in the same words`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a")
        try stage.openAll()
        let first = try #require(stage.sent.first)
        guard case .write(let command) = first.request.body else {
            Issue.record("no write")
            return
        }
        stage.lose(first.link)
        stage.pass(.milliseconds(20))
        try stage.openAll()
        let second = try #require(stage.sent.first)
        #expect(second.request.body == .write(command: command))
        #expect(second.link != first.link)
        try stage.answer(second, Stage.written(77))
        guard case .success(.outcome(.written(let version), _))? = stage.ended[id] else {
            Issue.record("not written: \(String(describing: stage.ended[id]))")
            return
        }
        #expect(version == Timestamp(77))
    }

    @Test func `A deadline after sending is unavailable with an unknown outcome`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a", seconds: 1)
        try stage.openAll()
        stage.pass(.milliseconds(1_100))
        #expect(stage.error(of: id)?.kind == .unavailable)
        #expect(stage.error(of: id)?.outcome == .unknown)
    }

    @Test func `A deadline of a write that was never sent says that nothing happened`() throws {
        var stage = try Stage()
        let id = stage.put("a", seconds: 1)
        for link in 0..<3 { stage.lose(link, "connection refused") }
        stage.pass(.milliseconds(1_100))
        #expect(stage.error(of: id)?.kind == .unavailable)
        #expect(stage.error(of: id)?.outcome == .notApplied)
    }

    @Test func `A definite refusal leaves no doubt, a lost attempt before it does`() throws {
        for isLost in [false, true] {
            var stage = try Stage()
            try stage.settle()
            let id = stage.put("a")
            try stage.openAll()
            if isLost {
                stage.lose(try #require(stage.sent.first).link)
                stage.pass(.milliseconds(20))
                try stage.openAll()
            }
            try stage.answer(
                try #require(stage.sent.first), .refusal(Refusal(.diskFull, "no space")))
            #expect(stage.error(of: id)?.kind == .diskFull)
            #expect(stage.error(of: id)?.outcome == (isLost ? .unknown : .notApplied))
        }
    }

    @Test func `A read never has an unknown outcome`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.get("a", seconds: 1)
        try stage.openAll()
        stage.pass(.milliseconds(1_100))
        #expect(stage.error(of: id)?.outcome == .notApplied)
    }

    @Test func `An overloaded node is left alone as long as it asked`() throws {
        var stage = try Stage()
        try stage.settle()
        stage.put("a")
        try stage.openAll()
        try stage.answer(
            try #require(stage.sent.first),
            .refusal(Refusal(.overloaded, "", retryAfterMilliseconds: 300)))
        stage.pass(.milliseconds(140))
        #expect(stage.sent.isEmpty)
        stage.pass(.milliseconds(200))
        #expect(!stage.sent.isEmpty)
    }

    @Test func `A cancelled call ends at once and its sequence is closed`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a")
        try stage.openAll()
        stage.dispatch.cancel([1])
        stage.act()
        #expect(stage.error(of: id)?.kind == .cancelled)
        #expect(stage.error(of: id)?.outcome == .unknown)
        #expect(stage.dispatch.sessions.windowCount == 0)
        // The late answer finds nothing.
        try stage.answer(try #require(stage.sent.first), Stage.written())
        #expect(stage.dispatch.pending.count == 0)
    }

    @Test func `A write gets its first-issue time from the cluster, once`() throws {
        var stage = try Stage()
        try stage.settle()
        stage.pass(.milliseconds(250))
        stage.put("a")
        try stage.openAll()
        let first = try #require(stage.sent.first)
        stage.lose(first.link)
        stage.pass(.milliseconds(500))
        try stage.openAll()
        for request in [first, try #require(stage.sent.first)] {
            guard case .write(let bytes) = request.request.body else { continue }
            var reader = ByteReader(bytes)
            let session = try #require(try Command(from: &reader).session)
            let least = Timestamp(WallTime(milliseconds: 1_000_000))
            let most = Timestamp(WallTime(milliseconds: 1_000_251))
            #expect((least...most).contains(session.firstIssue))
        }
    }
}
