package import TenonCore
package import TenonStore

extension StateMachine {
    /// Applies the next entry and gives one outcome a command, in order; an entry of another kind
    /// gives none. Nothing is durable by this: the log is (Rule L5).
    ///
    /// ``prepare(_:blocks:)`` has answered `.ready` for the same entry and blocks in this turn of
    /// the loop; otherwise a read in the middle would find a block missing, which traps.
    ///
    /// - Throws: `unknownLogicVersion`, before any effect; `corruptEntry`. Either stops the
    ///   tablet: every later call throws the same.
    /// - Complexity: O(log keys) a plain put: one insertion into the memtable, one hash lookup.
    package func apply(_ entry: Entry, blocks: PinnedBlocks) throws(KVError) -> [Outcome] {
        if let failure { throw failure }
        precondition(
            entry.index == appliedIndex.next,
            "entry \(entry.index) applied after \(appliedIndex) of tablet \(tablet)")
        precondition(
            entry.term >= appliedTerm,
            "term \(entry.term) applied after \(appliedTerm) of tablet \(tablet)")
        do throws(KVError) {
            if entry.kind == .split { try applySplit(entry) }
            let outcomes = try effects(of: entry, blocks: blocks)
            // Whether it had an effect is part of what replicas must agree in.
            if entry.kind == .split { logDigest.combine(generation.rawValue) }
            appliedIndex = entry.index
            appliedTerm = entry.term
            checkInvariants()
            return outcomes
        } catch {
            failure = error
            throw error
        }
    }

    private func effects(
        of entry: Entry, blocks: PinnedBlocks
    ) throws(KVError) -> [Outcome] {
        var run = EntryRun(blocks: blocks)
        if entry.kind == .commands {
            let batch = try checkedBatch(entry)
            sessions.advance(to: batch.base)
            do throws(DecodingError) {
                try applyCommands(of: batch, &run)
            } catch {
                throw .corruptEntry(at: entry.index, error)
            }
            lastVersion = batch.last
        }
        chain(entry, run)
        return run.outcomes
    }

    /// What must hold of an entry before its first effect (Rules S1, S6).
    func checkedBatch(_ entry: Entry) throws(KVError) -> CommandBatch {
        let batch: CommandBatch
        do throws(DecodingError) {
            batch = try CommandBatch(payload: entry.payload)
        } catch {
            throw .corruptEntry(at: entry.index, error)
        }
        guard batch.logicVersion <= .newest else {
            throw .unknownLogicVersion(batch.logicVersion, at: entry.index)
        }
        guard batch.base > lastVersion else {
            let reason = "version \(batch.base) after \(lastVersion)"
            throw .corruptEntry(at: entry.index, .malformed(reason))
        }
        return batch
    }

    private func applyCommands(
        of batch: CommandBatch, _ run: inout EntryRun
    ) throws(DecodingError) {
        run.reserve(batch.count)
        var commands = batch.commandReaders()
        var version = batch.base
        while let command = try commands.next() {
            try applyCommand(command, at: version, &run)
            version = version.advanced(by: 1)
        }
    }

    /// One command: its session decides whether it runs, and keeps what came of it.
    private func applyCommand(
        _ command: Bytes, at version: Timestamp, _ run: inout EntryRun
    ) throws(DecodingError) {
        var reader = ByteReader(command)
        let header = try CommandHeader(from: &reader)
        guard let session = header.session else {
            let outcome = try runBody(header.kind, &reader, at: version, &run)
            run.append(outcome)
            return
        }
        switch sessions.admit(session, at: version) {
        case .answered(let outcome): run.append(outcome)
        case .duplicate:
            reached(.sessionDuplicateDropped)
            run.append(.duplicate)
        case .expired:
            reached(.sessionExpired)
            run.append(.sessionExpired)
        case .ahead: run.append(.refused(reason: "first issued ahead of the tablet's time"))
        case .run(let client):
            let outcome = try runBody(header.kind, &reader, at: version, &run)
            let bytes = run.append(outcome)
            sessions.record(
                outcome.compacted(), for: session, client: client, at: version, bytes: bytes)
        }
    }

    /// The effect of a command's body, which is what `reader` has left. Decoded in place: keys
    /// and values are slices of the entry.
    private func runBody(
        _ kind: CommandKind, _ reader: inout ByteReader, at version: Timestamp,
        _ run: inout EntryRun
    ) throws(DecodingError) -> Outcome {
        let outcome: Outcome
        switch kind {
        case .put:
            let condition = try Condition(from: &reader)
            let key = try own(reader.key())
            let value = try reader.lengthPrefixedBytes("value", atMost: Limits.valueBytesMax)
            outcome = put(key, value, condition, at: version, run)
        case .delete:
            let condition = try Condition(from: &reader)
            outcome = delete(try own(reader.key()), condition, at: version, run)
        case .deleteRange, .transaction, .raiseHistoryFloor, .contentDigest, .get:
            let operation = try Operation(kind: kind, from: &reader)
            outcome = try runRare(operation, at: version, run)
        }
        try reader.finish()
        return outcome
    }

    /// A leader proposes no write beside a split, so behind one there is none of a key of the half:
    /// what it did would be lost.
    private func own(_ key: Bytes) throws(DecodingError) -> Bytes {
        guard lastSplit == nil || bounds.contains(key) || isPlanted(.writesBehindSplit) else {
            throw .malformed("a key outside the tablet")
        }
        return key
    }

    private func put(
        _ key: Bytes, _ value: Bytes, _ condition: Condition, at version: Timestamp,
        _ run: EntryRun
    ) -> Outcome {
        if condition != .none, let refusal = check(condition, key, run) { return refusal }
        store.put(.user(key), value, at: version)
        return .written(version: version)
    }

    /// A delete takes a version and leaves a tombstone even when there was no value: what it
    /// answers must not depend on what is behind a compaction.
    private func delete(
        _ key: Bytes, _ condition: Condition, at version: Timestamp, _ run: EntryRun
    ) -> Outcome {
        let current = newest(key, run.blocks)
        guard condition.holds(of: current) else { return conditionFailed(current, run) }
        store.delete(.user(key), at: version)
        return .deleted(version: version, found: current != nil)
    }

    /// Nil when the condition holds.
    private func check(_ condition: Condition, _ key: Bytes, _ run: EntryRun) -> Outcome? {
        let current = newest(key, run.blocks)
        return condition.holds(of: current) ? nil : conditionFailed(current, run)
    }

    /// The answer to a condition that did not hold, within the bound of an entry's answers.
    private func conditionFailed(_ current: StoredValue?, _ run: EntryRun) -> Outcome {
        let bytes = run.answerBytes + (current?.bytes.count ?? 0)
        guard bytes <= configuration.entryAnswerBytesMax else {
            return .refused(
                reason: "condition failed; the entry's answers are too large to say how")
        }
        return .conditionFailed(current: current)
    }

    private func runRare(
        _ operation: Operation, at version: Timestamp, _ run: EntryRun
    ) throws(DecodingError) -> Outcome {
        switch operation {
        case .deleteRange(let from, let to):
            deleteRange(KeyInterval(lower: from, upper: to), at: version)
            return .written(version: version)
        case .transaction(let transaction):
            return runTransaction(transaction, at: version, run)
        case .raiseHistoryFloor(let floor):
            raiseHistoryFloor(to: min(floor, version))
            return .upkeep(version: version)
        case .contentDigest:
            return .upkeep(version: version)
        case .get, .put, .delete:
            throw .malformed("\(operation.name) is no command of its own")
        }
    }

    /// One range tombstone over what of `interval` lies in the tablet.
    func deleteRange(_ interval: KeyInterval, at version: Timestamp) {
        let clipped = interval.clipped(to: bounds)
        guard !clipped.isEmpty else { return }
        store.deleteRange(
            from: .user(clipped.lower), to: .user(clipped.upper ?? KeyInterval.aboveAllKeys),
            at: version)
    }

    private func raiseHistoryFloor(to floor: Timestamp) {
        guard floor > historyFloor else { return }
        historyFloor = floor
        store.raiseHistoryFloor(to: floor)
    }

    /// The newest value of a key, in a turn in which `prepare` has seen to its blocks.
    func newest(_ key: Bytes, _ blocks: PinnedBlocks) -> StoredValue? {
        switch store.get(.user(key), at: .newest, blocks: blocks) {
        case .ready(let found): return found
        case .needs:
            preconditionFailure("tablet \(tablet) applies after \(appliedIndex) without its blocks")
        }
    }

    /// Chains an entry and its outcomes into the log digest (Rule S5).
    private func chain(_ entry: Entry, _ run: EntryRun) {
        logDigest.combine(entry.index.rawValue)
        logDigest.combine(entry.term.rawValue)
        logDigest.combine(UInt64(entry.kind.rawValue))
        logDigest.combine(entry.payload)
        logDigest.combine(run.encodedOutcomes)
    }
}

/// What one entry's run gathers.
struct EntryRun {
    let blocks: PinnedBlocks
    private(set) var outcomes: [Outcome] = []
    /// All outcomes so far, encoded: for the log digest, and to know their sizes.
    private var writer = ByteWriter()

    init(blocks: PinnedBlocks) { self.blocks = blocks }

    /// Appends an outcome and returns its encoded length.
    @discardableResult
    mutating func append(_ outcome: Outcome) -> Int {
        let start = writer.count
        outcome.encode(to: &writer)
        outcomes.append(outcome)
        return writer.count - start
    }

    mutating func reserve(_ count: Int) { outcomes.reserveCapacity(count) }
    var answerBytes: Int { writer.count }
    var encodedOutcomes: [UInt8] { writer.bytes }
}

extension Operation {
    /// The operation's name in messages; keys and values never go into one.
    fileprivate var name: String {
        switch self {
        case .put: "put"
        case .delete: "delete"
        case .deleteRange: "deleteRange"
        case .transaction: "transaction"
        case .get: "get"
        case .raiseHistoryFloor: "raiseHistoryFloor"
        case .contentDigest: "contentDigest"
        }
    }
}

extension KeyInterval {
    /// A bound above every key: one byte longer than the longest, all ones.
    static let aboveAllKeys = Bytes([UInt8](repeating: .max, count: Limits.keyBytesMax + 1))
}
