import TenonCore
import TenonWire

/// A tablet of a few lines that answers as a right one does, or with one planted fault: what
/// shows that the checks of the workloads can fail.
struct FakeTablet {
    /// What is wrong with it.
    enum Fault: CaseIterable {
        case none
        /// Some acknowledged writes do nothing.
        case lostWrite
        /// Some reads show what was there a while ago.
        case staleRead
        /// Some transactions do only their first write.
        case tornTransaction
        /// Some scans leave out a key.
        case shortScan
        /// Some writes run once more, later.
        case lateDuplicate
        /// Some retries run again, because their session is forgotten.
        case forgottenSession
        /// Some conditions are not looked at.
        case ignoredCondition
        /// Some stale reads are older than they say.
        case ageUnderstated
    }

    private let id: TabletID
    private let fault: Fault
    private var generator: SeededGenerator
    private var values: [Bytes: StoredValue] = [:]
    private var before: [(version: Timestamp, values: [Bytes: StoredValue])] = []
    private var version = Timestamp(1_000)
    private var outcomes: [Session: Outcome] = [:]
    private var marks: [ClientID: SequenceNumber] = [:]
    private var forLater: Operation?

    init(_ id: TabletID, _ fault: Fault, seed: UInt64) {
        self.id = id
        self.fault = fault
        generator = SeededGenerator(seed: seed)
    }

    private mutating func strikes(_ fault: Fault, oneIn count: UInt64) -> Bool {
        self.fault == fault && generator.below(count) == 0
    }

    mutating func answer(_ body: RequestBody) -> Answer {
        if strikes(.lateDuplicate, oneIn: 4), let operation = forLater {
            forLater = nil
            version = version.next
            _ = run(operation)
        }
        var shown = strikes(.staleRead, oneIn: 15) ? before.first?.values ?? values : values
        var point = ReadPoint(tablet: id, version: version)
        if body.staleness != .none {
            point.age = .within(milliseconds: 0)
            if strikes(.ageUnderstated, oneIn: 5), let old = before.first {
                (point.version, shown) = old
            }
        }
        switch body {
        case .get(let key, nil, _): return .value(shown[key], at: point)
        case .get(let key, let asOf?, _):
            let past = values[key].flatMap { $0.version <= asOf ? $0 : nil }
            // The past is not kept: a value that is younger answers as gone history.
            guard past != nil else { return .refusal(Refusal(.historyGone, "no past")) }
            return .value(past, at: ReadPoint(tablet: id, version: version))
        case .getMany(let keys, _, _): return .values(keys.map { shown[$0] }, at: point)
        case .scan(let scan): return page(scan, shown, point)
        case .write(let command): return write(command)
        case .describe, .status, .transferLeadership, .contentDigest, .direct, .injectFault,
            .clearFaults, .acceptClock:
            preconditionFailure("a fake tablet cannot answer \(body)")
        }
    }

    private mutating func page(
        _ scan: ScanRequest, _ shown: [Bytes: StoredValue], _ point: ReadPoint
    ) -> Answer {
        var keys = shown.keys.filter { key in
            key >= scan.from && scan.to.map { key < $0 } ?? true
        }.sorted()
        if strikes(.shortScan, oneIn: 8), keys.count > 1 { keys.remove(at: keys.count / 2) }
        if scan.isReversed { keys.reverse() }
        let items = keys.prefix(scan.limit).compactMap { key in
            shown[key].map { ScanItem(key: key, value: $0) }
        }
        return .page(items, next: nil, at: point)
    }

    // MARK: writes

    private mutating func write(_ bytes: Bytes) -> Answer {
        var reader = ByteReader(bytes)
        guard let command = try? Command(from: &reader), let session = command.session else {
            preconditionFailure("a workload sent what is no command")
        }
        version = version.next
        let point = ReadPoint(tablet: id, version: version)
        let mark = max(marks[session.client] ?? SequenceNumber(0), session.lowWaterMark)
        marks[session.client] = mark
        if session.sequence < mark { return .outcome(.duplicate, at: point) }
        if let known = outcomes[session], !strikes(.forgottenSession, oneIn: 3) {
            return .outcome(known, at: point)
        }
        before = Array((before + [(Timestamp(version.rawValue - 1), values)]).suffix(6))
        let outcome = run(command.operation)
        outcomes[session] = outcome
        if generator.below(20) == 0 { forLater = command.operation }
        return .outcome(outcome, at: point)
    }

    private mutating func run(_ operation: Operation) -> Outcome {
        switch operation {
        case .put(let key, let value, let condition):
            let current = values[key]
            guard holds(condition, current) else { return .conditionFailed(current: current) }
            if !strikes(.lostWrite, oneIn: 30) { put(key, value) }
            return .written(version: version)
        case .delete(let key, let condition):
            let current = values[key]
            guard holds(condition, current) else { return .conditionFailed(current: current) }
            values[key] = nil
            return .deleted(version: version, found: current != nil)
        case .deleteRange(let from, let to):
            deleteRange(from, to)
            return .written(version: version)
        case .transaction(let transaction): return run(transaction)
        case .get, .raiseHistoryFloor, .contentDigest:
            preconditionFailure("a workload wrote \(operation)")
        }
    }

    private mutating func run(_ transaction: Transaction) -> Outcome {
        let succeeded = transaction.conditions.allSatisfy { holds($0.condition, values[$0.key]) }
        let list = succeeded ? transaction.then : transaction.else
        let isTorn = strikes(.tornTransaction, oneIn: 6)
        var kept: [Bytes: StoredValue]?
        let results = list.map { operation -> OperationResult in
            if case .get(let key) = operation { return .value(values[key]) }
            let outcome = run(operation)
            if isTorn, kept == nil { kept = values }
            switch outcome {
            case .deleted(_, let found): return .deleted(found: found)
            case .conditionFailed(let current): return .conditionFailed(current: current)
            default: return .written
            }
        }
        if let kept { values = kept }
        return .transaction(version: version, succeeded: succeeded, results: results)
    }

    private mutating func holds(_ condition: Condition, _ current: StoredValue?) -> Bool {
        condition.holds(of: current)
            || (condition != .none && strikes(.ignoredCondition, oneIn: 8))
    }

    private mutating func put(_ key: Bytes, _ value: Bytes) {
        values[key] = StoredValue(bytes: value, version: version)
    }

    private mutating func deleteRange(_ from: Bytes, _ to: Bytes?) {
        for key in values.keys where key >= from && to.map({ key < $0 }) ?? true {
            values[key] = nil
        }
    }
}
