import Synchronization
import TenonCore
import TenonWire
import Testing

@testable import TenonClient

/// The whole client against real sockets.
@Suite(.timeLimit(.minutes(5))) struct ClientTests {
    private func withCluster(
        nodes: Int = 3, border: Bytes? = nil, host: String = "127.0.0.1",
        _ body: (FakeCluster, TenonClient) async throws -> Void
    ) async throws {
        let cluster = try await FakeCluster(nodes: nodes, border: border, host: host)
        do {
            try await withTenonClient(endpoints: cluster.endpoints) { try await body(cluster, $0) }
        } catch {
            try await cluster.stop()
            throw error
        }
        try await cluster.stop()
    }

    @Test func `A value that was put is got, with its version and its point`() async throws {
        try await withCluster { _, tenon in
            let keys = tenon.keyspace("default")
            let version = try await keys.put("alice", "100")
            let read = try await keys.read("alice")
            #expect(read.value == StoredValue(bytes: "100", version: version))
            #expect(read.at == Point(tablet: TabletID(2), version: version))
            #expect(try await keys.get("bob") == nil)
            #expect(try await keys.delete("alice").found)
            #expect(try await !keys.delete("alice").found)
        }
    }

    @Test func `A condition that does not hold is a definite no with what the key has`()
        async throws
    {
        try await withCluster { _, tenon in
            let keys = tenon.keyspace("default")
            let version = try await keys.put("a", "1", if: .absent)
            do {
                try await keys.put("a", "2", if: .absent)
                Issue.record("put although the key is there")
            } catch let error as TenonError {
                #expect(error.kind == .conditionFailed)
                #expect(error.outcome == .notApplied)
                #expect(error.current == StoredValue(bytes: "1", version: version))
            }
            try await keys.put("a", "2", if: .version(version))
        }
    }

    @Test func `It works over IPv6`() async throws {
        try await withCluster(host: "::1") { cluster, tenon in
            #expect(cluster.endpoints[0].hasPrefix("[::1]:"))
            try await tenon.keyspace("default").put("a", "1")
        }
    }

    @Test func `Increments through dropped answers add up exactly`() async throws {
        try await withCluster { cluster, tenon in
            cluster.set { state in
                state.faultOf = { number in
                    number % 7 == 3 ? .dropAnswer : number % 11 == 5 ? .dropRequest : nil
                }
            }
            let keys = tenon.keyspace("default")
            try await withThrowingTaskGroup { group in
                for worker in 0..<8 {
                    group.addTask { try await Self.increment(keys, Bytes("c\(worker % 2)"), 20) }
                }
                try await group.waitForAll()
            }
            cluster.set { $0.faultOf = nil }
            for counter: Bytes in ["c0", "c1"] {
                #expect(try await keys.get(counter)?.bytes == "80")
            }
        }
    }

    /// Adds 1 so many times by compare-and-set.
    private static func increment(_ keys: Keyspace, _ key: Bytes, _ times: Int) async throws {
        for _ in 0..<times {
            while try await !hasIncremented(keys, key) {}
        }
    }

    private static func hasIncremented(_ keys: Keyspace, _ key: Bytes) async throws -> Bool {
        let now = try await keys.get(key)
        let sum = (now.flatMap { $0.bytes.utf8Text.flatMap(Int.init) } ?? 0) + 1
        let condition = now.map { Condition.version($0.version) } ?? .absent
        do {
            try await keys.put(key, Bytes(String(sum)), if: condition)
            return true
        } catch {
            guard error.kind == .conditionFailed else { throw error }
            return false
        }
    }

    @Test func `An answer that never comes is unknown at the deadline`() async throws {
        try await withCluster(nodes: 1) { cluster, tenon in
            cluster.set { $0.faults = [.swallowAnswer] }
            do {
                try await tenon.keyspace("default").put("a", "1", timeout: .milliseconds(300))
                Issue.record("put without an answer")
            } catch let error as TenonError {
                #expect(error.kind == .unavailable)
                #expect(error.outcome == .unknown)
            }
        }
    }

    @Test func `Nobody there is unavailable at the deadline and says why`() async throws {
        try await withTenonClient(endpoints: ["127.0.0.1:1"]) { tenon in
            do {
                try await tenon.keyspace("default").put("a", "1", timeout: .milliseconds(200))
                Issue.record("put to nobody")
            } catch let error as TenonError {
                #expect(error.kind == .unavailable)
                #expect(error.outcome == .notApplied)
                #expect(error.message.contains("connection refused"))
            }
        }
    }

    @Test func `Garbage from a node is survived`() async throws {
        try await withCluster { cluster, tenon in
            let keys = tenon.keyspace("default")
            try await keys.put("a", "1")
            cluster.set { $0.faults = [.garbage, .garbage] }
            #expect(try await keys.get("a")?.bytes == "1")
        }
    }

    @Test func `A new leader is found`() async throws {
        try await withCluster { cluster, tenon in
            let keys = tenon.keyspace("default")
            for leader: UInt32 in [1, 3, 2, 1] {
                cluster.set { $0.leader = NodeID(leader) }
                try await keys.put("a", "1")
            }
        }
    }

    @Test func `A cancelled task's call ends as cancelled`() async throws {
        try await withCluster(nodes: 1) { cluster, tenon in
            let keys = tenon.keyspace("default")
            try await keys.put("a", "0")
            cluster.set { $0.faults = [.swallowAnswer] }
            let task = Task { try await keys.put("a", "1", timeout: .seconds(30)) }
            while cluster.state.withLock({ $0.writesRun }) < 2 { await Task.yield() }
            task.cancel()
            let result = await task.result
            #expect { try result.get() } throws: {
                ($0 as? TenonError)?.kind == .cancelled && ($0 as? TenonError)?.outcome == .unknown
            }
        }
    }

    @Test func `Bounds are checked before anything is sent`() async throws {
        try await withCluster(nodes: 1) { cluster, tenon in
            let keys = tenon.keyspace("default")
            let longKey = Bytes([UInt8](repeating: 1, count: Limits.keyBytesMax + 1))
            let longValue = Bytes([UInt8](repeating: 1, count: Limits.valueBytesMax + 1))
            for (key, value): (Bytes, Bytes) in [(longKey, "v"), ("k", longValue)] {
                await #expect { try await keys.put(key, value) } throws: {
                    ($0 as? TenonError)?.kind == .tooLarge
                }
            }
            #expect(cluster.state.withLock { $0.requests } == 0)
        }
    }

    @Test func `A scan goes over tablets in both directions`() async throws {
        try await withCluster(border: "k05") { _, tenon in
            let keys = tenon.keyspace("default")
            let names = (0..<10).map { Bytes("k0\($0)") }
            for name in names { try await keys.put(name, name) }
            for limit in [1, 2, 3, 100] {
                for isReversed in [false, true] {
                    var seen: [Bytes] = []
                    let range = ScanRange(from: "k01", to: "k09", isReversed: isReversed)
                    for try await item in keys.scan(range, pageLimit: limit) {
                        seen.append(item.key)
                    }
                    let expected = Array(names[1..<9])
                    #expect(seen == (isReversed ? expected.reversed() : expected))
                }
            }
            var all = 0
            for try await _ in keys.scan() { all += 1 }
            #expect(all == 10)
        }
    }

    @Test func `Many keys are read tablet by tablet and given in the order asked for`() async throws
    {
        try await withCluster(border: "m") { _, tenon in
            let keys = tenon.keyspace("default")
            for name: Bytes in ["z", "a", "m"] { try await keys.put(name, name) }
            let found = try await keys.readMany(["z", "b", "a", "m"])
            #expect(found.map { $0.value?.bytes } == ["z", nil, "a", "m"])
            #expect(found.map(\.at.tablet) == [3, 2, 2, 3].map { TabletID($0) })
        }
    }

    @Test func `A range over tablets is deleted in parts`() async throws {
        try await withCluster(border: "m") { _, tenon in
            let keys = tenon.keyspace("default")
            for name: Bytes in ["a", "b", "m", "z"] { try await keys.put(name, name) }
            let deletion = try await keys.deleteRange(from: "b", to: "z")
            #expect(deletion.points.map(\.tablet) == [TabletID(2), TabletID(3)])
            #expect(deletion.version == deletion.points[1].version)
            let left = try await keys.getMany(["a", "b", "m", "z"]).map { $0?.bytes }
            #expect(left == ["a", nil, nil, "z"])
        }
    }

    @Test func `A transaction is of one tablet`() async throws {
        try await withCluster(border: "m") { _, tenon in
            let keys = tenon.keyspace("default")
            let result = try await keys.transaction(
                if: [KeyCondition(key: "a", condition: .absent)],
                then: [.put(key: "a", value: "1", condition: .none), .get(key: "a")])
            #expect(result.succeeded)
            #expect(result.results.count == 2)
            await #expect {
                try await keys.transaction(if: [], then: [.get(key: "a"), .get(key: "z")])
            } throws: { ($0 as? TenonError)?.kind == .invalid }
        }
    }

    @Test func `A client at its bound refuses as overloaded and goes on`() async throws {
        let cluster = try await FakeCluster(nodes: 1)
        var configuration = TenonClient.Configuration()
        configuration.callsInFlightMax = 1
        try await withTenonClient(endpoints: cluster.endpoints, configuration: configuration) {
            tenon in
            let keys = tenon.keyspace("default")
            try await keys.put("a", "0")
            cluster.set { $0.faults = [.swallowAnswer] }
            let stuck = Task { try await keys.put("a", "1", timeout: .seconds(60)) }
            while cluster.state.withLock({ $0.writesRun }) < 2 { await Task.yield() }
            await #expect { try await keys.get("a") } throws: {
                ($0 as? TenonError)?.kind == .overloaded
            }
            stuck.cancel()
            _ = await stuck.result
            #expect(try await keys.get("a")?.bytes == "1")
        }
        try await cluster.stop()
    }

    @Test func `Calls that fail at once never get each other's answers`() async throws {
        try await withCluster { _, tenon in
            try await tenon.keyspace("default").put("a", "1")
            try await withThrowingTaskGroup { group in
                for number in 0..<400 {
                    group.addTask { await Self.read(tenon, number) }
                }
                try await group.waitForAll()
            }
        }
    }

    /// Reads where the keyspace exists for every third number only.
    private static func read(_ tenon: TenonClient, _ number: Int) async {
        let isThere = number % 3 == 0
        let keys = tenon.keyspace(isThere ? "default" : "none-\(number)")
        do throws(TenonError) {
            let value = try await keys.get("a")
            #expect(value?.bytes == "1")
            #expect(isThere)
        } catch {
            #expect(error.message.contains("\"none-\(number)\""))
        }
    }

    @Test func `A call after the shutdown is refused`() async throws {
        let tenon = try TenonClient(endpoints: [Endpoint("127.0.0.1:1")])
        await tenon.shutdown()
        await #expect { try await tenon.keyspace("default").get("a") } throws: {
            ($0 as? TenonError)?.kind == .unavailable
        }
    }

    @Test func `Many tasks share one connection a node`() async throws {
        try await withCluster { cluster, tenon in
            let keys = tenon.keyspace("default")
            try await withThrowingTaskGroup { group in
                for worker in 0..<64 {
                    group.addTask {
                        for step in 0..<20 {
                            let key = Bytes("\(worker)-\(step)")
                            try await keys.put(key, key)
                            #expect(try await keys.get(key)?.bytes == key)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(cluster.state.withLock { $0.writesRun } == 64 * 20)
        }
    }
}
