package import TenonCore
package import TenonStore

/// The state machine of one tablet: committed entries in, outcomes out (architecture.md, 8).
///
/// Deterministic: all that it does follows from the entries, in order. Replicas that applied the
/// same entries hold the same keys, values, versions, sessions and floors, and have the same log
/// digest, whatever their flushes, compactions and restarts were (Rules S4, S5). The only clock
/// is the timestamp of the entry.
///
/// Owned by the node's loop, and the only writer of its store. Nothing here waits for the disk
/// but `init`: what needs blocks says so and changes nothing (Rule S9).
package final class StateMachine {
    /// Bounds that decide outcomes: settings of the cluster, the same on every replica.
    package struct Configuration: Hashable, Sendable {
        /// How long a write may be retried, in log time after its first issue. Longer: clients
        /// survive longer outages; shorter: a smaller table. 1 s … 1 h.
        package var sessionWindow = TimeSpan.seconds(600)
        /// How far a first issue may lie ahead of the log's time before the write is refused:
        /// further than honest clocks differ, no further than the floor may jump. 1 ms … 10 min.
        package var sessionAheadMax = TimeSpan.seconds(60)
        /// Outcomes kept, and clients known, each. 16 … 10,000,000.
        package var sessionsMax = 100_000
        /// Bytes that the kept outcomes take. 64 KiB … 4 GiB.
        package var sessionBytesMax = 64 << 20
        /// Bytes of values that the outcomes of one entry carry; a conditional write that would
        /// go over it is refused, as is a transaction that reads more than ``answerBytesMax``.
        /// 1 KiB … 1 GiB.
        package var entryAnswerBytesMax = 64 << 20
        /// Bytes of values in one answer: of a transaction's gets, or of one getMany. Leaves room
        /// for headers within ``Limits/frameBytesMax``. 64 B … 16 MiB.
        package var answerBytesMax = 8 << 20

        package init() {}

        /// All of them, in a fixed order: for a digest by which nodes find that theirs differ.
        package var bounds: [UInt64] {
            [
                sessionWindow.nanoseconds, sessionAheadMax.nanoseconds, UInt64(sessionsMax),
                UInt64(sessionBytesMax), UInt64(entryAnswerBytesMax), UInt64(answerBytesMax),
            ]
        }

        /// - Throws: `invalidConfiguration` naming the field, its value and its bounds.
        package func validate() throws(KVError) {
            try check("sessionWindow (ms)", sessionWindow.wholeMilliseconds, 1_000...3_600_000)
            try check("sessionAheadMax (ms)", sessionAheadMax.wholeMilliseconds, 1...600_000)
            try check("sessionsMax", sessionsMax, 16...10_000_000)
            try check("sessionBytesMax", sessionBytesMax, 64 << 10...4 << 30)
            try check("entryAnswerBytesMax", entryAnswerBytesMax, 1 << 10...1 << 30)
            try check("answerBytesMax", answerBytesMax, 64...Limits.frameBytesMax)
        }

        private func check(
            _ field: String, _ value: Int, _ bounds: ClosedRange<Int>
        ) throws(KVError) {
            guard bounds.contains(value) else {
                throw .invalidConfiguration("\(field) is \(value), not in \(bounds)")
            }
        }
    }

    package let tablet: TabletID
    /// The keys of this tablet: a split makes them fewer.
    package internal(set) var bounds: KeyInterval
    /// Counts the changes of ``bounds``.
    package internal(set) var generation: Generation
    /// The last split of this tablet; nil when it never was split.
    package internal(set) var lastSplit: AppliedSplit?
    package let configuration: Configuration
    let store: Store

    /// The last entry applied; index 0 before the first.
    package internal(set) var appliedIndex = LogIndex.zero
    package internal(set) var appliedTerm = Term.zero
    /// The version of the last command applied: the tablet's log time.
    package internal(set) var lastVersion = Timestamp.zero
    /// No read below it is answered (Rule S4). Raised by command, never above ``lastVersion``.
    package internal(set) var historyFloor = Timestamp.zero
    /// Chained over every entry applied and its outcomes (Rule S5).
    package internal(set) var logDigest = Digest()
    /// What the last flush was told of the group's membership; empty before the first.
    package internal(set) var flushedConfiguration = Bytes()

    var sessions: SessionTable
    /// The bounds that the flush under way, or the newest one, records.
    var flushedBounds: KeyInterval?
    /// The highest version that reads may ask for although nothing was applied there yet.
    var observed = Timestamp.zero
    /// Set by what stopped the tablet.
    var failure: KVError?

    /// The state machine over what `store` holds: all that its last flush recorded, or nothing.
    /// Blocks on reads of system keys: for start-up. ``StateMachineRestore`` does not.
    ///
    /// - Parameters:
    ///   - bounds: the keys that the tablet began with, as long as no flush says otherwise.
    ///   - generation: the same of its bounds' changes.
    /// - Throws: `invalidConfiguration`; `damagedState` when the system keys are not what was
    ///   written or belong to another tablet; `store` when they cannot be read.
    package convenience init(
        store: Store, tablet: TabletID, bounds: KeyInterval, generation: Generation = .first,
        configuration: Configuration = Configuration()
    ) throws(KVError) {
        try configuration.validate()
        self.init(
            unrestored: store, tablet: tablet, bounds: bounds, generation: generation,
            configuration: configuration)
        var restore = try StateMachineRestore(of: self)
        try restore.run()
    }

    /// One that has not taken back yet what the store holds.
    init(
        unrestored store: Store, tablet: TabletID, bounds: KeyInterval, generation: Generation,
        configuration: Configuration
    ) {
        self.store = store
        self.tablet = tablet
        self.bounds = bounds
        self.generation = generation
        self.configuration = configuration
        sessions = SessionTable(bounds: configuration, floor: .zero)
    }

    /// A write first issued below it is refused unless its outcome is known (Rule S3).
    package var sessionFloor: Timestamp { sessions.floor }
    /// Outcomes kept for retries, and the clients they and the marks belong to.
    package var sessionCounts: (outcomes: Int, clients: Int, bytes: Int) {
        (sessions.recordCount, sessions.clientCount, sessions.recordBytes)
    }
    /// Why nothing is applied any more; nil while the tablet works.
    package var stopped: KVError? { failure }

    /// Says that the tablet's clock has passed `version`: no later write will be at or below it,
    /// so reads may ask for it (Rule S8).
    package func observe(_ version: Timestamp) { observed = max(observed, version) }
}
