import TenonCore
import TenonSimulator
import TenonStore
import Testing

@testable import TenonKV

@Suite("Splits")
struct SplitTests {
    private static let members = [
        Member(replica: ReplicaID(1), node: NodeID(1)),
        Member(replica: ReplicaID(2), node: NodeID(2)),
    ]

    private func split(at key: Bytes = "m", generation: Generation = .first) -> TabletSplit {
        TabletSplit(
            tablet: TabletHarness.tablet, generation: generation, configuration: .first, at: key,
            half: TabletID(3), members: SplitTests.members)
    }

    /// The half of `tablet`, whose next entry is the split, opened from a folder of its own.
    private func half(of tablet: TabletHarness, _ split: TabletSplit) throws -> StateMachine {
        let record = tablet.state.halfRecord(
            of: split, at: tablet.state.appliedIndex.next, tablet.term, configuration: "half's")
        let job = try #require(tablet.store.splitJob(to: "/data/half", record: record))
        while true {
            guard case .finished(let result) = try job.runSlice() else { continue }
            tablet.store.install(result)
            break
        }
        // The folders above the store are the caller's.
        try tablet.disk.syncDirectory("/")
        tablet.disk.cutPower(keeping: .nothing)
        let store = try Store.open(
            fileSystem: tablet.disk, directory: "/data/half",
            configuration: StoreConfiguration(), cache: BlockCache(bytesMax: 1 << 20))
        return try StateMachine(store: store, tablet: split.half, bounds: .everything)
    }

    private func value(_ key: Bytes, of state: StateMachine) throws -> Bytes? {
        let blocks = PinnedBlocks()
        let answer = try TabletHarness.load(blocks) { state.get(key, at: nil, blocks: blocks) }
        return try answer.get().value?.bytes
    }

    @Test("The half begins with data, versions, floors and bounds as they were")
    func halfBegins() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"), .put("m", "2"), .put("x", "3"))
        try tablet.apply(.raiseHistoryFloor(to: tablet.state.lastVersion))
        try tablet.flush()
        let half = try half(of: tablet, split())
        #expect(half.bounds == KeyInterval(lower: "m", upper: nil))
        #expect(half.generation == Generation(2))
        #expect(half.appliedIndex == tablet.state.appliedIndex.next)
        #expect(half.appliedTerm == tablet.term)
        #expect(half.lastVersion == tablet.state.lastVersion)
        #expect(half.historyFloor == tablet.state.historyFloor)
        #expect(half.flushedConfiguration == "half's")
        #expect(half.lastSplit == nil)
        #expect(half.logDigest != tablet.state.logDigest)
        #expect(try value("m", of: half) == "2")
        #expect(try value("x", of: half) == "3")
        #expect(throws: ReadError.outsideTablet) { try value("a", of: half) }
    }

    @Test("A write that ran before the split is answered by the half, one that did not runs there")
    func sessions() throws {
        let tablet = try TabletHarness()
        let issue = tablet.nextVersion
        let done = Command(operation: .put("x", "1"), session: .of(1, firstIssue: issue))
        let first = try tablet.apply([done])
        try tablet.flush()
        let half = try half(of: tablet, split())
        #expect(half.sessionFloor == tablet.state.sessionFloor)
        var builder = CommandBatchBuilder()
        builder.append(Bytes(done.encoded()))
        let fresh = Command(operation: .put("x", "2"), session: .of(2, firstIssue: issue))
        builder.append(Bytes(fresh.encoded()))
        let entry = Entry(
            index: half.appliedIndex.next, term: tablet.term, kind: .commands,
            payload: builder.finish(base: half.lastVersion.next))
        let outcomes = try half.apply(entry, blocks: PinnedBlocks())
        #expect(outcomes[0] == first[0])
        #expect(outcomes[1] == .written(version: half.lastVersion))
    }

    @Test("The tablet keeps the lower keys, and a restart finds that again, flushed or replayed")
    func lowerKeys() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"), .put("x", "3"))
        try tablet.flush()
        try tablet.apply(payload: split().encoded(), kind: .split)
        func expectLower() throws {
            #expect(tablet.state.bounds == KeyInterval(lower: "", upper: "m"))
            #expect(tablet.state.generation == Generation(2))
            let last = try #require(tablet.state.lastSplit)
            #expect(last.split == split() && last.index == LogIndex(2) && last.upper == nil)
            #expect(try tablet.value("a") == "1")
            #expect(throws: ReadError.outsideTablet) { try tablet.get("x").get() }
            #expect(try tablet.scanAll(ScanRequest(.everything)).map(\.key) == ["a"])
        }
        try expectLower()
        try tablet.restart()
        try expectLower()
        let digest = try tablet.contentDigest()
        try tablet.flush()
        try tablet.restart()
        try expectLower()
        #expect(try tablet.contentDigest() == digest)
        let record = try #require(tablet.store.flushed)
        #expect(try StateMachine.lastSplit(in: record) == tablet.state.lastSplit)
    }

    @Test("A split that does not fit changes nothing, and all replicas agree that it does not")
    func withoutEffect() throws {
        let tablet = try TabletHarness(bounds: KeyInterval(lower: "b", upper: "y"))
        let other = try TabletHarness(bounds: KeyInterval(lower: "b", upper: "y"))
        for order in [
            split(at: "b"), split(at: "y"), split(at: "a"), split(at: "z"),
            split(generation: Generation(2)),
        ] {
            #expect(!tablet.state.canSplit(order))
            try tablet.apply(payload: order.encoded(), kind: .split)
            try other.apply(payload: order.encoded(), kind: .split)
        }
        #expect(tablet.state.bounds == KeyInterval(lower: "b", upper: "y"))
        #expect(tablet.state.generation == .first && tablet.state.lastSplit == nil)
        #expect(tablet.state.logDigest == other.state.logDigest)
    }

    @Test("What a split left behind is dropped by merges, but not before a flush says so")
    func leftBehind() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"), .put("x", "3"))
        try tablet.flush()
        try tablet.apply(payload: split().encoded(), kind: .split)
        func isThere() throws -> Bool {
            let blocks = PinnedBlocks()
            return try TabletHarness.load(blocks) {
                tablet.store.get(.user("x"), at: .newest, blocks: blocks)
            } != nil
        }
        // Merged before a flush of the new bounds: a restart would begin before the split.
        for number in 0..<8 {
            try tablet.apply(.put("a", Bytes("\(number)")))
            if number == 0 { #expect(try isThere()) }
            try tablet.flush()
        }
        #expect(try !isThere())
        #expect(try tablet.value("a") == "7")
    }

    @Test("A write behind a split to a key of the half stops the tablet: it would be lost")
    func behind() throws {
        for operation in [Operation.put("x", "1"), .delete(key: "x", condition: .none)] {
            let tablet = try TabletHarness()
            try tablet.apply(payload: split().encoded(), kind: .split)
            #expect(throws: KVError.self) { try tablet.apply(operation) }
        }
    }

    @Test("A split of rules that are not known stops the tablet (Rule S6)")
    func unknownRules() throws {
        let tablet = try TabletHarness()
        var order = split()
        order.logicVersion = LogicVersion.newest.next
        #expect(throws: KVError.unknownLogicVersion(LogicVersion.newest.next, at: LogIndex(1))) {
            try tablet.apply(payload: order.encoded(), kind: .split)
        }
        #expect(tablet.state.generation == .first)
    }

    @Test("A split survives its encoding, and no part of it is one")
    func codec() throws {
        let bytes = split().encoded()
        #expect(try TabletSplit(payload: bytes) == split())
        for count in bytes.indices {
            #expect(throws: DecodingError.self) { try TabletSplit(payload: Array(bytes[..<count])) }
        }
        #expect(throws: DecodingError.self) { try TabletSplit(payload: bytes + [0]) }
        let empty = TabletSplit(
            tablet: TabletID(2), generation: .first, configuration: .first, at: "m",
            half: TabletID(2), members: SplitTests.members)
        #expect(throws: DecodingError.self) { try TabletSplit(payload: empty.encoded()) }
        for members in [
            [], SplitTests.members.reversed(), [SplitTests.members[0]] + SplitTests.members,
        ] {
            var order = split()
            order.members = Array(members)
            #expect(throws: DecodingError.self) { try TabletSplit(payload: order.encoded()) }
        }
    }

    @Test("A flush record of the first format is a tablet that was never split")
    func firstFormat() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"))
        var state = FlushedState(tablet.state, configuration: "members")
        state.extent = nil
        #expect(try FlushedState(state.encoded()).extent == nil)
        let record = FlushRecord(index: LogIndex(1), term: Term(1), payload: state.encoded())
        tablet.store.freezeMemtable(flush: record)
        try tablet.runJobs()
        let bounds = KeyInterval(lower: "", upper: "k")
        let opened = try StateMachine(
            store: tablet.store, tablet: TabletHarness.tablet, bounds: bounds,
            generation: Generation(5))
        #expect(opened.bounds == bounds && opened.generation == Generation(5))
        #expect(try value("a", of: opened) == "1")
    }
}
