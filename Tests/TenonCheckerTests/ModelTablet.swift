import TenonChecker
import TenonCore

/// The dumb store: what each key has, and every operation as its sentence says.
struct ModelTablet {
    var values: [Bytes: StoredValue] = [:]

    /// Runs `operation` at `version` and fills in what it is answered.
    mutating func run(_ operation: inout HistoryOperation, at version: Timestamp) {
        operation.result = .ok
        if operation.isWrite { operation.version = version }
        switch operation.action {
        case .get(let key):
            operation.read = values[key].map { .value($0.bytes) } ?? .absent
            operation.version = values[key]?.version
        case .getMany(let keys): operation.values = keys.map { values[$0] }
        case .scan(let from, let to, let limit, let isReverse):
            scan(&operation, from, to, limit ?? .max, isReverse)
        case .put(let key, let value): put(key, value, version)
        case .delete(let key):
            operation.found = values[key] != nil
            values[key] = nil
        case .compareAndSet(let key, let value, let expect):
            guard meets(expect, key, &operation) else { return }
            put(key, value, version)
        case .compareAndDelete(let key, let expect):
            guard meets(expect, key, &operation) else { return }
            operation.found = values[key] != nil
            values[key] = nil
        case .deleteRange(let from, let to): deleteRange(from, to)
        case .transaction(let transaction):
            let succeeded = transaction.conditions.allSatisfy {
                $0.condition.holds(of: values[$0.key])
            }
            operation.succeeded = succeeded
            operation.results = (succeeded ? transaction.then : transaction.else).map {
                result(of: $0, at: version)
            }
        case .other: break
        }
    }

    private func meets(
        _ expect: Condition, _ key: Bytes, _ operation: inout HistoryOperation
    ) -> Bool {
        if expect.holds(of: values[key]) { return true }
        operation.result = .fail
        operation.read = values[key].map { .value($0.bytes) } ?? .absent
        operation.version = values[key]?.version
        return false
    }

    private mutating func put(_ key: Bytes, _ value: Bytes, _ version: Timestamp) {
        values[key] = StoredValue(bytes: value, version: version)
    }

    private mutating func deleteRange(_ from: Bytes, _ to: Bytes?) {
        for key in values.keys where key >= from && to.map({ key < $0 }) ?? true {
            values[key] = nil
        }
    }

    private func scan(
        _ operation: inout HistoryOperation, _ from: Bytes, _ to: Bytes?, _ limit: Int,
        _ isReverse: Bool
    ) {
        let keys = values.keys.filter { key in
            key >= from && to.map { key < $0 } ?? true
        }.sorted()
        let asked = isReverse ? keys.reversed() : keys
        operation.items = asked.prefix(limit).map {
            HistoryOperation.Item(
                key: $0, value: values[$0]?.bytes ?? "", version: values[$0]?.version)
        }
    }

    private mutating func result(
        of operation: TenonCore.Operation, at version: Timestamp
    ) -> OperationResult {
        switch operation {
        case .get(let key): return .value(values[key])
        case .put(let key, let value, let condition):
            let current = values[key]
            guard condition.holds(of: current) else { return .conditionFailed(current: current) }
            put(key, value, version)
            return .written
        case .delete(let key, let condition):
            let current = values[key]
            guard condition.holds(of: current) else { return .conditionFailed(current: current) }
            values[key] = nil
            return .deleted(found: current != nil)
        case .deleteRange(let from, let to):
            deleteRange(from, to)
            return .written
        case .transaction, .raiseHistoryFloor, .contentDigest: return .written
        }
    }
}

/// Correct executions with overlapping calls, lost answers and retries, drawn from a seed.
struct RandomExecution {
    private var generator: SeededGenerator
    private var tablet = ModelTablet()
    private var version: UInt64 = 100
    private var history: [HistoryOperation] = []
    /// Versions of commands and when they took effect.
    private var effects: [(time: UInt64, version: UInt64)] = [(0, 100)]
    private var unknownLeft: Int

    private static let keys: [Bytes] = ["a", "b", "c", "d"]

    /// - Parameter versionStep: the distance of versions: what is between is free for lost writes.
    static func history(
        operations count: Int, unknownMax: Int = .max, versionStep: UInt64 = 3,
        using generator: inout SeededGenerator
    ) -> [HistoryOperation] {
        var execution = RandomExecution(generator, unknownMax)
        for step in 0..<count { execution.add(step, versionStep) }
        generator = execution.generator
        return execution.history
    }

    private init(_ generator: SeededGenerator, _ unknownMax: Int) {
        self.generator = generator
        unknownLeft = unknownMax
    }

    private mutating func add(_ step: Int, _ versionStep: UInt64) {
        let effect = UInt64(step + 10) * 10
        var operation = HistoryOperation(
            worker: step, sentAt: Instant(nanoseconds: effect - generator.below(35)),
            answeredAt: Instant(nanoseconds: effect + generator.below(35)),
            action: action(step), result: .ok)
        let isLost = operation.isWrite && unknownLeft > 0 && generator.below(5) == 0
        let isApplied = !isLost || generator.below(2) == 0
        if operation.isWrite && isApplied {
            version += versionStep
            effects.append((effect, version))
        }
        var stood = version
        if isApplied { tablet.run(&operation, at: Timestamp(version)) }
        if isLost {
            unknownLeft -= 1
            operation = HistoryOperation(
                worker: step, sentAt: operation.sentAt, answeredAt: nil, action: operation.action,
                result: .unknown)
        } else {
            if operation.isWrite, generator.below(6) == 0 {
                // A retry is answered where the log stands by then.
                let answered = operation.answeredAt?.nanoseconds ?? effect
                stood = effects.last { $0.time <= answered }?.version ?? stood
            }
            operation.at = HistoryOperation.Point(
                tablet: TabletID(2), version: Timestamp(stood))
        }
        history.append(operation)
    }

    private mutating func key() -> Bytes {
        RandomExecution.keys[Int(generator.below(UInt64(RandomExecution.keys.count)))]
    }

    private mutating func condition(of key: Bytes) -> Condition {
        let value = tablet.values[key]
        switch generator.below(5) {
        case 0: return .present
        case 1: return .absent
        case 2: return value.map { .value($0.bytes) } ?? .absent
        case 3: return .version(value?.version ?? Timestamp(101))
        default: return value.map { .version($0.version) } ?? .absent
        }
    }

    private mutating func action(_ step: Int) -> HistoryOperation.Action {
        let key = key()
        let value = Bytes("v\(step)")
        switch generator.below(14) {
        case 0..<2: return .get(key: key)
        case 2: return .getMany(keys: [key, self.key()])
        case 3..<5:
            let limit = generator.below(2) == 0 ? 1 + Int(generator.below(3)) : nil
            return .scan(
                from: generator.below(2) == 0 ? "" : key,
                to: generator.below(2) == 0 ? nil : self.key(), limit: limit,
                isReverse: generator.below(2) == 0)
        case 5..<7: return .put(key: key, value: value)
        case 7: return .delete(key: key)
        case 8..<10:
            return .compareAndSet(key: key, value: value, expect: condition(of: key))
        case 10: return .compareAndDelete(key: key, expect: condition(of: key))
        case 11: return .deleteRange(from: key, to: generator.below(2) == 0 ? nil : self.key())
        default: return .transaction(transaction(step))
        }
    }

    private mutating func transaction(_ step: Int) -> Transaction {
        var number = 0
        return Transaction(
            conditions: (0..<generator.below(3)).map { _ in
                let key = key()
                return KeyCondition(key: key, condition: condition(of: key))
            }, then: operations(step, &number), else: operations(step, &number))
    }

    private mutating func operations(
        _ step: Int, _ number: inout Int
    ) -> [TenonCore.Operation] {
        (0..<1 + generator.below(3)).map { _ in
            number += 1
            let key = key()
            let own = generator.below(5) == 0 ? condition(of: key) : .none
            switch generator.below(6) {
            case 0..<3:
                return .put(key: key, value: Bytes("v\(step).\(number)"), condition: own)
            case 3: return .delete(key: key, condition: own)
            case 4: return .deleteRange(from: key, to: self.key())
            default: return .get(key: key)
            }
        }
    }
}

/// The definition itself, for short histories: some versions of the writes without an answer
/// (or none) explain every answer.
struct EveryPlacement {
    private let history: [HistoryOperation]
    private let unknown: [Int]
    private let versions: ClosedRange<UInt64>

    static func explains(_ history: [HistoryOperation]) -> Bool {
        EveryPlacement(history).isExplained
    }

    private init(_ history: [HistoryOperation]) {
        self.history = history
        unknown = history.indices.filter { history[$0].result == .unknown }
        let known = history.map { $0.standing.rawValue }
        versions = 80...((known.max() ?? 100) + 1)
    }

    private var isExplained: Bool {
        guard agreesWithRealTime else { return false }
        let own = history.filter(\.isApplied).map(\.standing)
        guard Set(own).count == own.count else { return false }
        return search([])
    }

    private var agreesWithRealTime: Bool {
        for late in history where late.result != .unknown {
            if late.isApplied, let at = late.at?.version, at < late.standing { return false }
            for early in history where early.result != .unknown && early.endsAt < late.sentAt {
                if late.standing < early.reached { return false }
                if late.isApplied && late.standing == early.reached { return false }
            }
        }
        return true
    }

    /// Gives the unknown writes versions one after the other.
    private func search(_ placed: [UInt64?]) -> Bool {
        guard placed.count < unknown.count else { return holds(placed) }
        let operation = history[unknown[placed.count]]
        let floor =
            history.filter { $0.result != .unknown && $0.endsAt < operation.sentAt }
            .map(\.reached).max() ?? .zero
        let taken = Set(history.filter(\.isApplied).map { $0.standing.rawValue })
        if search(placed + [nil]) { return true }
        return versions.contains { version in
            version > floor.rawValue && !taken.contains(version) && !placed.contains(version)
                && search(placed + [version])
        }
    }

    /// Runs everything in order and compares.
    private func holds(_ placed: [UInt64?]) -> Bool {
        var writes: [UInt64: HistoryOperation] = [:]
        for operation in history where operation.isApplied {
            writes[operation.standing.rawValue] = operation
        }
        for (place, version) in zip(unknown, placed) {
            if let version { writes[version] = history[place] }
        }
        var tablet = ModelTablet()
        var states: [UInt64: ModelTablet] = [:]
        for version in versions {
            if let write = writes[version] {
                var done = write
                tablet.run(&done, at: Timestamp(version))
                if write.result == .ok, !done.isAnswered(as: write) { return false }
            }
            states[version] = tablet
        }
        return history.allSatisfy { isExplained($0, states) }
    }

    /// Whether an operation that changed nothing was answered as some state says.
    private func isExplained(
        _ operation: HistoryOperation, _ states: [UInt64: ModelTablet]
    ) -> Bool {
        guard operation.result != .unknown, !operation.isApplied else { return true }
        let floor =
            history.filter { $0.result != .unknown && $0.endsAt < operation.sentAt }
            .map(\.reached).max() ?? Timestamp(80)
        let high = operation.standing.rawValue
        let low = operation.result == .fail ? min(floor.rawValue, high) : high
        return (low...high).contains { version in
            guard var tablet = states[version] else { return false }
            var done = operation
            tablet.run(&done, at: .newest)
            return done.isAnswered(as: operation)
        }
    }
}

extension HistoryOperation {
    fileprivate var standing: Timestamp {
        (isApplied ? version : nil) ?? at?.version ?? .zero
    }

    fileprivate var reached: Timestamp { max(standing, at?.version ?? .zero) }

    fileprivate func isAnswered(as other: HistoryOperation) -> Bool {
        result == other.result && read == other.read && version == other.version
            && found == other.found && items == other.items && values == other.values
            && succeeded == other.succeeded && results == other.results
    }
}
