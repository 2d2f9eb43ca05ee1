import TenonCore
import TenonLog
import TenonNode
import TenonSimulator
import TenonStore
import TenonWire
import Testing

/// Disks that fill up, fail and rot, and ends that send garbage.
@Suite struct FaultTests {
    private func key(_ number: Int) -> Bytes { Bytes("key\(number % 10)\(number)") }

    /// Small files, so that few writes flush, trim and recycle.
    private func small(_ seed: UInt64) -> ClusterOptions {
        var options = ClusterOptions(seed: seed)
        options.store.memtableBytesMax = 32 << 10
        options.store.tableBytesMax = 32 << 10
        options.store.levelBytesBase = 128 << 10
        options.store.blockBytes = 1 << 10
        options.retainedLogBytes = 16 << 10
        options.blockCacheBytes = 16 << 10
        return options
    }

    private func value(_ number: Int, bytes: Int = 2_000) -> Bytes {
        var generator = SeededGenerator(seed: UInt64(number))
        return Bytes((0..<bytes).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
    }

    @Test func `a follower behind the trimmed log gets a snapshot`() throws {
        let cluster = SimulatedCluster(small(1))
        #expect(cluster.form())
        let leader = try #require(cluster.leader())
        let follower = leader % 3 + 1
        cluster.crash(follower)
        for number in 0..<120 { #expect(cluster.put(key(number), value(number)) != nil) }
        let first = try #require(cluster.leader().flatMap { cluster.status($0)?.first })
        #expect(first > 20, "the log was trimmed")
        cluster.start(follower)
        #expect(cluster.awaitEqualReplicas(within: .seconds(60)))
        let status = cluster.host(follower).node?.status(now: cluster.now)
        #expect(status?.counters.snapshotsInstalled == 1)
        #expect(cluster.status(follower)?.logDigest == cluster.status(leader)?.logDigest)
        // And it holds what it says: it serves alone with one other, also after a power cut.
        cluster.cutPower(follower)
        cluster.start(follower)
        cluster.crash(leader)
        for number in [0, 7, 119] { #expect(cluster.text(of: key(number)) != nil) }
    }

    @Test func `a leader that finds its own table rotten in a snapshot makes way and is rebuilt`()
        throws
    {
        let cluster = SimulatedCluster(small(1))
        #expect(cluster.form())
        let leader = try #require(cluster.leader())
        let follower = leader % 3 + 1
        cluster.crash(follower)
        for number in 0..<120 { #expect(cluster.put(key(number), value(number)) != nil) }
        let first = try #require(cluster.status(leader)?.first)
        #expect(first > 20, "the log was trimmed")
        try rotTable(of: leader, in: cluster)
        cluster.start(follower)
        let isFound = cluster.run(within: .seconds(20)) {
            cluster.host(leader).noticed("the snapshot cannot be read")
        }
        #expect(isFound)
        #expect(cluster.awaitEqualReplicas(within: .seconds(60)))
        for host in 1...3 { #expect(cluster.status(host)?.health == "whole") }
        let counters = cluster.host(leader).node?.status(now: cluster.now).counters
        #expect(counters?.storesRebuilt == 1)
        for number in 0..<120 { #expect(cluster.text(of: key(number)) != nil) }
    }

    /// Turns a bit over in one of the tables that the host's replica of tablet 2 has now.
    private func rotTable(of host: Int, in cluster: SimulatedCluster) throws {
        let disk = cluster.host(host).disk
        let directory = SimulatedHost.directory + "/cell-0/tablets"
        let tablet = try #require(try disk.list(directory).first { $0.hasPrefix("2-") })
        let names = try disk.list(directory + "/" + tablet).sorted()
        let table = try #require(names.first { $0.hasSuffix(".table") }, "\(names)")
        disk.flipBit(1, at: 200, of: "\(directory)/\(tablet)/\(table)")
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func `a change of leader amid a snapshot starts another`(seed: UInt64) throws {
        let cluster = SimulatedCluster(small(seed))
        #expect(cluster.form())
        let leader = try #require(cluster.leader())
        let follower = leader % 3 + 1
        cluster.crash(follower)
        for number in 0..<120 { #expect(cluster.put(key(number), value(number)) != nil) }
        cluster.start(follower)
        let asked = cluster.run(within: .seconds(20)) {
            cluster.hosts.contains { $0.noticed("needs a snapshot") }
        }
        #expect(asked)
        cluster.run(for: .milliseconds(4 * Int(seed)))
        let sender = try #require(cluster.leader())
        cluster.crash(sender)
        #expect(cluster.put("after", "1") != nil)
        cluster.start(sender)
        #expect(cluster.awaitEqualReplicas(within: .seconds(60)))
        #expect(cluster.status(1)?.logDigest == cluster.status(2)?.logDigest)
        #expect(cluster.status(2)?.logDigest == cluster.status(3)?.logDigest)
    }

    @Test func `a full disk refuses writes, serves reads and deletes, and recovers`() throws {
        var options = small(3)
        options.isLogReserved = true
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        for number in 0..<10 { #expect(cluster.put(key(number), value(number)) != nil) }
        // No table can be written any more: nothing is trimmed, and the logs fill up.
        for host in cluster.hosts { host.disk.capacityBytes = host.disk.usedBytes + (16 << 10) }
        var refusal: Refusal?
        var last = 0
        for number in 10..<2_000 where refusal == nil {
            let result = cluster.write(
                .put(key: key(number), value: value(number), condition: .none),
                tablet: TabletID(2))
            switch result {
            case .answer: last = number
            case .notApplied(let reason), .unknown(let reason): refusal = reason
            }
        }
        #expect(refusal?.reason == .diskFull, "\(String(describing: refusal)) after \(last)")
        #expect(cluster.hosts.allSatisfy { $0.isRunning })
        #expect(cluster.text(of: key(last)) != nil)
        let deleted = cluster.write(
            .delete(key: key(0), condition: .none), tablet: TabletID(2))
        guard case .answer(.outcome(.deleted, _)) = deleted else {
            Issue.record("\(deleted)")
            return
        }
        for host in cluster.hosts { host.disk.capacityBytes = nil }
        let isBack = cluster.run(within: .seconds(30), every: .milliseconds(500)) {
            cluster.put("back", "1") != nil
        }
        #expect(isBack)
        #expect(cluster.text(of: key(last)) != nil)
    }

    @Test(arguments: [DiskFault.Kind.failWrite, .shortWrite, .failSync])
    func `a manifest that cannot be written at the start ends the process, not the tablet`(
        kind: DiskFault.Kind
    ) throws {
        let cluster = SimulatedCluster(small(6))
        #expect(cluster.form())
        // A store that was never flushed has no manifest.
        for number in 0..<60 {
            #expect(
                cluster.put(Bytes("k\(number)"), Bytes([UInt8](repeating: 1, count: 4_000))) != nil)
        }
        let isFlushed = cluster.run(within: .seconds(20), every: .milliseconds(50)) {
            cluster.status(2).map { $0.flushed > 0 } ?? false
        }
        #expect(isFlushed)
        cluster.crash(2)
        cluster.host(2).disk.inject(DiskFault(kind, on: "MANIFEST.new"))
        #expect(!cluster.start(2))
        #expect(cluster.host(2).endReason?.contains("manifest") == true)
        #expect(cluster.start(2))
        #expect(cluster.awaitEqualReplicas())
        #expect(cluster.status(2)?.health == "whole")
    }

    @Test func `a follower whose log is full names the leader`() throws {
        var options = small(7)
        options.log.segmentBytes = 64 << 10
        options.log.segmentsReserved = 5
        options.log.batchBytesMax = 16 << 10
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        let leader = try #require(cluster.leader())
        let follower = leader % 3 + 1
        cluster.host(follower).disk.inject(DiskFault(.failWrite, on: ".table", count: 1_000))
        for number in 0..<300 { #expect(cluster.put(key(number), value(number)) != nil) }
        #expect(cluster.host(follower).noticed("the log is full"))
        let answer = cluster.ask(
            follower,
            cluster.client.write(.put(key: "k", value: "v", condition: .none)))
        guard case .refusal(let refusal)? = answer else {
            Issue.record("\(String(describing: answer))")
            return
        }
        #expect(refusal.reason == .notLeader)
    }

    @Test func `a follower that cannot flush until its log is full catches up later`() throws {
        var options = small(5)
        options.log.segmentBytes = 64 << 10
        options.log.segmentsReserved = 5
        options.log.batchBytesMax = 16 << 10
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        #expect(cluster.put("a", "1") != nil)
        let follower = try #require(cluster.leader()) % 3 + 1
        cluster.host(follower).disk.inject(DiskFault(.failWrite, on: ".table", count: 1_000))
        for number in 0..<300 { #expect(cluster.put(key(number), value(number)) != nil) }
        #expect(cluster.host(follower).noticed("the log is full"))
        cluster.host(follower).disk.removeFaults()
        #expect(cluster.awaitEqualReplicas(within: .seconds(20)))
        #expect(cluster.hosts.allSatisfy { $0.isRunning })
    }

    @Test func `a follower whose log is full catches up when it has room again`() throws {
        var options = small(4)
        options.store.memtableBytesMax = 1 << 20
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        #expect(cluster.put("a", "1") != nil)
        let leader = try #require(cluster.leader())
        let disk = cluster.host(leader % 3 + 1).disk
        disk.capacityBytes = disk.usedBytes
        for number in 0..<200 { #expect(cluster.put(key(number), value(number)) != nil) }
        #expect(cluster.host(leader % 3 + 1).isRunning)
        #expect(cluster.host(leader % 3 + 1).noticed("log is full"))
        disk.capacityBytes = nil
        #expect(cluster.awaitEqualReplicas(within: .seconds(60)))
    }

    /// Seed 16 of the simulator's `disks`: the error was taken for damaged content.
    @Test func `a disk that fails a read at the start ends the node, and damages nothing`() throws {
        let cluster = SimulatedCluster(small(6))
        #expect(cluster.form())
        for number in 0..<200 { #expect(cluster.put(key(number), value(number)) != nil) }
        cluster.crash(2)
        cluster.host(2).disk.inject(DiskFault(.failRead, on: ".table"))
        let isStarted = cluster.start(2)
        #expect(!isStarted)
        #expect(cluster.host(2).endReason != nil)
        cluster.host(2).disk.removeFaults()
        cluster.start(2)
        #expect(cluster.awaitEqualReplicas())
        #expect(!cluster.host(2).noticed("damaged"))
    }

    @Test func `a failed sync of the log ends the node`() throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: 5))
        #expect(cluster.form())
        let leader = try #require(cluster.leader())
        cluster.host(leader).disk.inject(DiskFault(.failSync, on: "/log/"))
        #expect(cluster.put("a", "1") != nil, "by the others")
        #expect(!cluster.host(leader).isRunning)
        #expect(cluster.host(leader).endReason?.contains("log cannot be written") == true)
        cluster.start(leader)
        #expect(cluster.awaitEqualReplicas())
        #expect(cluster.text(of: "a") == "1")
    }

    @Test func `a log write that a power cut tore is cut off, and nothing acknowledged is lost`() {
        var tornTails = 0
        for seed in UInt64(1)...16 {
            let cluster = SimulatedCluster(ClusterOptions(seed: seed))
            #expect(cluster.form())
            #expect(cluster.put("before", "1") != nil)
            // The power goes while the write is on its way to the disks.
            cluster.client.start(
                cluster.client.write(.put(key: "a", value: value(1), condition: .none)),
                tablet: TabletID(2), within: .seconds(5)
            ) { _ in }
            cluster.run(for: .microseconds(200 + 100 * Int(seed)))
            for node in 1...3 { cluster.cutPower(node) }
            #expect(cluster.form())
            tornTails += cluster.hosts.count { $0.noticed("torn tail") }
            #expect(cluster.run(within: .seconds(6)) { cluster.client.isIdle })
            #expect(cluster.text(of: "before") == "1")
            // The retry of the write was answered.
            guard case .answer(.value(let found, _)) = cluster.get("a") else {
                Issue.record("seed \(seed): no answer")
                continue
            }
            #expect(found?.bytes == value(1))
        }
        #expect(tornTails > 0)
    }

    @Test func `a damaged middle of the log concerns its tablet only`() throws {
        var options = ClusterOptions(seed: 6)
        options.tabletCount = 4
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        for number in 0..<8 { #expect(cluster.put(Bytes("0\(number)"), "v") != nil) }
        let marker = Array("damage me".utf8)
        #expect(cluster.put("0x", Bytes(marker)) != nil)
        for number in 0..<8 { #expect(cluster.put(Bytes("z\(number)"), "v") != nil) }
        #expect(cluster.awaitEqualReplicas())
        cluster.crash(1)
        #expect(damage(marker, in: cluster.host(1).disk))
        #expect(cluster.start(1))
        let damaged = cluster.tablet(holding: "0x")
        let statuses = try #require(cluster.host(1).node?.status(now: cluster.now).tablets)
        #expect(statuses.filter { $0.health != "whole" }.map(\.tablet) == [damaged])
        #expect(cluster.host(1).noticed("does not vote until"))
        #expect(cluster.put("z9", "v") != nil)
        #expect(cluster.text(of: "0x") == "damage me", "by the others")
    }

    /// Turns a bit over in the first place of the log that holds `marker`.
    private func damage(_ marker: [UInt8], in disk: SimulatedDisk) -> Bool {
        disk.damageLog(at: marker)
    }

    @Test func `a damaged table is found, and its replica rebuilt from the leader`() throws {
        let cluster = SimulatedCluster(small(7))
        #expect(cluster.form())
        for number in 0..<60 { #expect(cluster.put(key(number), value(number)) != nil) }
        #expect(cluster.awaitEqualReplicas())
        let leader = try #require(cluster.leader())
        let victim = leader % 3 + 1
        try rotTable(of: victim, in: cluster)
        #expect(cluster.ask(leader, .contentDigest) == .done)
        let isFound = cluster.run(within: .seconds(20), every: .milliseconds(10)) {
            cluster.host(victim).noticed("rebuilding its store")
        }
        #expect(isFound, "\(String(describing: cluster.status(victim)))")
        #expect(cluster.put("b", "2") != nil)
        let isRebuilt = cluster.run(within: .seconds(20), every: .milliseconds(10)) {
            cluster.status(victim)?.health == "whole"
        }
        #expect(isRebuilt, "\(String(describing: cluster.status(victim)))")
        let isEqual = cluster.awaitEqualReplicas()
        #expect(isEqual)
        #expect(cluster.status(victim)?.logDigest == cluster.status(leader)?.logDigest)
        #expect(
            cluster.host(victim).node?.status(now: cluster.now).counters.storesRebuilt == 1)
    }

    @Test func `a store that is damaged at the start is rebuilt, and its replica votes`() throws {
        let cluster = SimulatedCluster(small(17))
        #expect(cluster.form())
        for number in 0..<60 { #expect(cluster.put(key(number), value(number)) != nil) }
        let isEqualBefore = cluster.awaitEqualReplicas()
        #expect(isEqualBefore)
        let leader = try #require(cluster.leader())
        let (victim, other) = (leader % 3 + 1, (leader + 1) % 3 + 1)
        #expect(try #require(cluster.status(victim)).first > 1, "the log was trimmed")
        cluster.crash(victim)
        let disk = cluster.host(victim).disk
        let directory = SimulatedHost.directory + "/cell-0/tablets"
        let folders = try disk.list(directory).sorted()
        let tablet = try #require(folders.first { $0.hasPrefix("2-") }, "\(folders)")
        disk.flipBit(1, at: 20, of: "\(directory)/\(tablet)/MANIFEST")
        cluster.start(victim)
        #expect(cluster.status(victim)?.health.contains("rebuilding") == true)
        // It is needed for a quorum, and acknowledges while it is rebuilt.
        cluster.crash(other)
        let version = cluster.put("b", "2")
        #expect(version != nil)
        let isRebuilt = cluster.run(within: .seconds(20), every: .milliseconds(10)) {
            cluster.status(victim)?.health == "whole"
        }
        #expect(isRebuilt, "\(String(describing: cluster.status(victim)))")
        cluster.start(other)
        let isEqual = cluster.awaitEqualReplicas()
        #expect(isEqual)
        cluster.run(for: .milliseconds(200))
        #expect(try disk.list(directory).sorted() == folders, "what was set aside is gone")
        cluster.crash(leader)
        let after = cluster.text(of: key(41), within: .seconds(10))
        #expect(after != nil)
    }

    @Test func `garbage ends its link and nothing else`() throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: 8))
        #expect(cluster.form())
        cluster.run(for: .milliseconds(300))
        cluster.sendGarbage([1, 2, 3, 4, 5, 6, 7, 8, 9], from: 1, to: 2, .consensus)
        var writer = ByteWriter()
        writer.frame(.peerMessages) { $0.raw([9, 9, 9]) }
        cluster.sendGarbage(writer.take(), from: 3, to: 1, .consensus)
        writer.frame(.peerMessages) { $0.raw([9, 9, 9]) }
        cluster.sendGarbage(writer.take(), from: 2, to: 3, .bulk)
        cluster.run(for: .milliseconds(20))
        #expect(!cluster.isUp(from: 1, to: 2))
        #expect(!cluster.isUp(from: 3, to: 1))
        #expect(!cluster.isUp(from: 2, to: 3, .bulk))
        #expect(cluster.put("a", "1") != nil)
        cluster.run(for: .seconds(1))
        #expect(cluster.isUp(from: 1, to: 2) && cluster.isUp(from: 3, to: 1))
        #expect(cluster.hosts.allSatisfy { $0.isRunning })
    }

    @Test func `a client that sends garbage is cut off, and told why where that is possible`()
        throws
    {
        let cluster = SimulatedCluster(ClusterOptions(seed: 9))
        #expect(cluster.form())
        guard case .closed = cluster.sendRaw([1, 2, 3, 4, 5, 6, 7, 8], to: 1) else {
            Issue.record("the connection stayed open")
            return
        }
        var writer = ByteWriter()
        writer.frame(.request, id: RequestID(1)) { $0.raw([1, 2, 3]) }
        guard case .closed(let goodbye) = cluster.sendRaw(writer.take(), to: 1) else {
            Issue.record("the connection stayed open")
            return
        }
        #expect(goodbye?.contains("malformed") == true)
        writer.frame(.peerMessages) { $0.raw([]) }
        guard case .closed = cluster.sendRaw(writer.take(), to: 1) else {
            Issue.record("the connection stayed open")
            return
        }
        #expect(cluster.put("a", "1") != nil)
    }
}
