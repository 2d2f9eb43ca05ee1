import TenonCore
import TenonKV
import TenonStore
import Testing

@Suite("Flushes and restarts")
struct FlushTests {
    @Test("A restart finds data, versions, floors, digest and configuration again")
    func restart() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"), .put("b", "2"))
        try tablet.apply(.raiseHistoryFloor(to: tablet.state.lastVersion))
        let before = tablet.state
        try tablet.flush(configuration: "three members")
        try tablet.restart()
        #expect(tablet.state !== before)
        #expect(tablet.state.appliedIndex == before.appliedIndex)
        #expect(tablet.state.appliedTerm == before.appliedTerm)
        #expect(tablet.state.lastVersion == before.lastVersion)
        #expect(tablet.state.historyFloor == before.historyFloor)
        #expect(tablet.state.logDigest == before.logDigest)
        #expect(tablet.state.flushedConfiguration == "three members")
        #expect(try tablet.value("b") == "2")
    }

    @Test("A write is not run again by a retry after a restart, flushed or replayed")
    func sessions() throws {
        let tablet = try TabletHarness()
        let issue = tablet.nextVersion
        let flushed = Command(operation: .put("a", "1"), session: .of(1, firstIssue: issue))
        let replayed = Command(operation: .put("b", "1"), session: .of(2, firstIssue: issue))
        let first = try tablet.apply([flushed])
        try tablet.flush()
        let second = try tablet.apply([replayed])
        try tablet.restart()
        #expect(try tablet.apply([flushed]) == first)
        #expect(try tablet.apply([replayed]) == second)
        #expect(tablet.state.sessionCounts.outcomes == 2)
    }

    @Test("What the table forgot is forgotten after a restart too")
    func forgotten() throws {
        let tablet = try TabletHarness()
        let issue = tablet.nextVersion
        for sequence: UInt64 in 1...5 {
            let session = Session.of(sequence, firstIssue: issue)
            try tablet.apply([Command(operation: .put("a", "1"), session: session)])
        }
        try tablet.flush()
        let last = Session.of(6, firstIssue: issue, answeredBelow: 5)
        try tablet.apply([Command(operation: .put("a", "2"), session: last)])
        try tablet.flush()
        try tablet.restart()
        #expect(tablet.state.sessionCounts.outcomes == 2)
        let old = Command(operation: .put("a", "3"), session: .of(2, firstIssue: issue))
        #expect(try tablet.apply([old]) == [.duplicate])
    }

    @Test("The folder of another tablet is refused")
    func otherTablet() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"))
        try tablet.flush()
        #expect(throws: KVError.self) {
            try StateMachine(store: tablet.store, tablet: TabletID(3), bounds: .everything)
        }
    }

    @Test("A flush record that is not one is refused")
    func damagedRecord() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"))
        let record = try tablet.state.prepareFlush(configuration: "m")
        for count in [0, 1, 10, record.payload.count - 1] {
            let other = try TabletHarness()
            let payload = record.payload[0..<count]
            other.store.freezeMemtable(
                flush: FlushRecord(index: LogIndex(1), term: Term(1), payload: payload))
            try other.runJobs()
            #expect(throws: KVError.self) {
                try StateMachine(
                    store: other.store, tablet: TabletHarness.tablet, bounds: .everything)
            }
        }
    }

    @Test("Reads ask for their blocks and change nothing until they have them")
    func blocks() throws {
        let tablet = try TabletHarness()
        try tablet.apply((0..<50).map { Command(operation: .put(Bytes("key\($0)"), "v")) })
        try tablet.flush()
        let command = Command(operation: .put("key7", "w", if: .value("v")))
        var builder = CommandBatchBuilder()
        builder.append(Bytes(command.encoded()))
        let entry = Entry(
            index: tablet.state.appliedIndex.next, term: tablet.term, kind: .commands,
            payload: builder.finish(base: tablet.nextVersion))
        let blocks = PinnedBlocks()
        guard case .needs = tablet.state.prepare(entry, blocks: blocks) else {
            Issue.record("a key of a table was read without its block")
            return
        }
        let checked = try StateMachine.validate(
            Bytes(command.encoded()), bounds: .everything, from: .leader)
        try TabletHarness.load(blocks) {
            tablet.state.prefetch(checked.keysRead, blocks: blocks)
        }
        guard case .ready = tablet.state.prepare(entry, blocks: blocks) else {
            Issue.record("a prefetched block was not used")
            return
        }
        let outcomes = try tablet.state.apply(entry, blocks: blocks)
        #expect(outcomes == [.written(version: tablet.state.lastVersion)])
    }
}

@Suite("Digests")
struct DigestTests {
    @Test("The log digest tells payloads, terms, kinds and order apart")
    func logDigest() throws {
        func digest(_ act: (TabletHarness) throws -> Void) throws -> Digest {
            let tablet = try TabletHarness()
            try act(tablet)
            return tablet.state.logDigest
        }
        let digests = try [
            digest { _ in },
            digest { try $0.apply(.put("a", "1")) },
            digest { try $0.apply(.put("a", "2")) },
            digest { try $0.apply(.put("a", "1"), .put("b", "1")) },
            digest { try $0.apply(.put("b", "1"), .put("a", "1")) },
            digest { try $0.apply(payload: [], kind: .noop) },
            digest { try $0.apply(payload: [], kind: .configuration) },
            digest {
                $0.term = Term(9)
                try $0.apply(.put("a", "1"))
            },
        ]
        #expect(Set(digests).count == digests.count)
    }

    @Test("The content digest depends on keys, values and versions, not on files")
    func contentDigest() throws {
        let inMemory = try TabletHarness()
        let onDisk = try TabletHarness()
        for step in 0..<40 {
            for tablet in [inMemory, onDisk] {
                try tablet.apply(.put(Bytes("k\(step % 13)"), Bytes("\(step)")))
            }
            if step.isMultiple(of: 7) { try onDisk.flush() }
        }
        let version = inMemory.state.lastVersion
        let digest = try inMemory.contentDigest()
        #expect(try onDisk.contentDigest() == digest)
        let part = KeyInterval(lower: "k1", upper: "k2")
        #expect(try onDisk.contentDigest(part) == inMemory.contentDigest(part))
        #expect(try onDisk.contentDigest(part) != digest)
        // Later writes do not change what stood at the version; a changed value does.
        try onDisk.apply(.put("k1", "later"))
        #expect(try onDisk.contentDigest(at: version) == digest)
        #expect(try onDisk.contentDigest() != digest)
    }
}
