package import TenonChecker
internal import TenonCore

/// Counters, raised by compare-and-set or by a transaction that does the same. The sums at the
/// end are those that the outcomes allow, however many answers were lost on the way.
package struct CounterScript: WorkloadScript {
    package static let name = "counters"
    package static let clientCount = 3
    private static let keyCount = 2

    private let rooms: [KeyRoom]
    private var generator: SeededGenerator
    /// By client: the counter that it read last; what it raises next.
    private var known: [(room: KeyRoom, key: Bytes, value: StoredValue?)?]
    private var tags = 0
    private var closingReads: [(room: KeyRoom, key: Bytes)] = []
    /// What the counters hold at the end.
    private var sums: [Bytes: Int] = [:]

    package init(rooms: [KeyRoom], seed: UInt64) {
        self.rooms = rooms
        generator = SeededGenerator(seed: seed)
        known = Array(repeating: nil, count: CounterScript.clientCount)
        for room in rooms {
            closingReads += (0..<CounterScript.keyCount).map { (room, room.key($0)) }
        }
    }

    package mutating func next(at place: Int) -> ScriptStep? {
        guard let counter = known[place] else {
            let room = generator.pick(rooms)
            let key = room.key(Int(generator.below(UInt64(CounterScript.keyCount))))
            return ScriptStep(.get(key: key), in: room)
        }
        known[place] = nil
        tags += 1
        // The tag makes the value that of this increment alone.
        let value = Bytes("\(CounterScript.count(in: counter.value?.bytes) + 1) by \(tags)")
        let expect = counter.value.map { Condition.version($0.version) } ?? .absent
        guard generator.happens(percent: 40) else {
            return ScriptStep(
                .compareAndSet(key: counter.key, value: value, expect: expect), in: counter.room)
        }
        let transaction = Transaction(
            conditions: [KeyCondition(key: counter.key, condition: expect)],
            then: [.put(key: counter.key, value: value, condition: .none)],
            else: [.get(key: counter.key)])
        return ScriptStep(.transaction(transaction), in: counter.room)
    }

    package mutating func closingStep() -> ScriptStep? {
        closingReads.popLast().map { ScriptStep(.get(key: $0.key), in: $0.room) }
    }

    package mutating func ended(_ operation: HistoryOperation, at place: Int) {
        guard case .get(let key) = operation.action, let read = operation.read,
            let room = rooms.first(where: { key.array.starts(with: $0.prefix.array) })
        else { return }
        switch read {
        case .absent:
            known[place] = (room, key, nil)
            sums[key] = 0
        case .value(let bytes):
            let version = operation.version ?? .zero
            known[place] = (room, key, StoredValue(bytes: bytes, version: version))
            sums[key] = CounterScript.count(in: bytes)
        }
    }

    package func failures(in history: [HistoryOperation]) -> [CheckFailure] {
        // Counters that could not be read at the end are not judged: liveness says so.
        guard closingReads.isEmpty else { return [] }
        let check = CounterCheck(CounterScript.increments(in: history)) { sums[$0] ?? 0 }
        return check.findings.filter { !$0.isExact }.map { finding in
            CheckFailure(
                .exactlyOnce,
                "counter \(finding.key) holds \(finding.actual), its increments allow "
                    + "\(finding.allowed)")
        }
    }

    /// Every attempt to raise a counter, with what became of it.
    private static func increments(in history: [HistoryOperation]) -> [CounterCheck.Increment] {
        history.compactMap { operation in
            switch operation.action {
            case .compareAndSet(let key, _, _):
                return CounterCheck.Increment(key: key, result: operation.result)
            case .transaction(let transaction):
                guard let key = transaction.conditions.first?.key else { return nil }
                let isRefused = operation.result == .ok && operation.succeeded != true
                return CounterCheck.Increment(
                    key: key, result: isRefused ? .fail : operation.result)
            case .get, .getMany, .put, .delete, .compareAndDelete, .scan, .deleteRange, .other:
                return nil
            }
        }
    }

    /// The number that a counter's value begins with; 0 when there is none.
    private static func count(in value: Bytes?) -> Int {
        guard let text = value?.utf8Text, let number = text.split(separator: " ").first else {
            return 0
        }
        return Int(number) ?? 0
    }
}
