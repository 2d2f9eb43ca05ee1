import TenonCore
import TenonKV

/// The dumb reference: every version of every key in a list, every rule as its sentence says.
struct TabletModel {
    private struct Write {
        var key: Bytes
        var version: Timestamp
        /// Nil for a delete.
        var value: Bytes?
    }

    private let bounds: KeyInterval
    private var writes: [Write] = []
    private(set) var sessions: SessionModel

    init(bounds: KeyInterval, configuration: StateMachine.Configuration) {
        self.bounds = bounds
        sessions = SessionModel(configuration: configuration)
    }

    /// Every key with a value at `version`, in order.
    func contents(at version: Timestamp) -> [(key: Bytes, value: StoredValue)] {
        let keys = Set(writes.map(\.key)).sorted()
        return keys.compactMap { key in
            guard bounds.contains(key), let found = value(of: key, at: version) else { return nil }
            return (key, found)
        }
    }

    private func value(of key: Bytes, at version: Timestamp = .newest) -> StoredValue? {
        guard let last = writes.last(where: { $0.key == key && $0.version <= version }),
            let value = last.value
        else { return nil }
        return StoredValue(bytes: value, version: last.version)
    }

    mutating func apply(_ batch: [Command], base: Timestamp) -> [Outcome] {
        sessions.advance(to: base)
        return batch.enumerated().map { place, command in
            let version = base.advanced(by: UInt64(place))
            guard let session = command.session else {
                return run(command.operation, at: version)
            }
            if let answer = sessions.answer(to: session, at: version) { return answer }
            let outcome = run(command.operation, at: version)
            sessions.keep(outcome, session)
            return outcome
        }
    }

    private mutating func run(_ operation: Operation, at version: Timestamp) -> Outcome {
        switch operation {
        case .put(let key, let value, let condition):
            let current = self.value(of: key)
            guard condition.holds(of: current) else { return .conditionFailed(current: current) }
            writes.append(Write(key: key, version: version, value: value))
            return .written(version: version)
        case .delete(let key, let condition):
            let current = self.value(of: key)
            guard condition.holds(of: current) else { return .conditionFailed(current: current) }
            writes.append(Write(key: key, version: version, value: nil))
            return .deleted(version: version, found: current != nil)
        case .deleteRange(let from, let to):
            for key in Set(writes.map(\.key)).sorted()
            where key >= from && to.map({ key < $0 }) ?? true && bounds.contains(key) {
                writes.append(Write(key: key, version: version, value: nil))
            }
            return .written(version: version)
        case .transaction(let transaction):
            let succeeded = transaction.conditions.allSatisfy {
                $0.condition.holds(of: value(of: $0.key))
            }
            let list = succeeded ? transaction.then : transaction.else
            let results = list.map { result(of: $0, at: version) }
            return .transaction(version: version, succeeded: succeeded, results: results)
        case .raiseHistoryFloor, .contentDigest:
            return .upkeep(version: version)
        case .get:
            return .refused(reason: "a get of its own")
        }
    }

    private mutating func result(
        of operation: Operation, at version: Timestamp
    ) -> OperationResult {
        if case .get(let key) = operation { return .value(value(of: key)) }
        switch run(operation, at: version) {
        case .deleted(_, let found): return .deleted(found: found)
        case .conditionFailed(let current): return .conditionFailed(current: current)
        default: return .written
        }
    }
}

/// Rule S3, sentence by sentence, over plain lists.
struct SessionModel {
    struct Record {
        var session: Session
        var outcome: Outcome
    }
    struct Client {
        var mark: SequenceNumber
        var latest: Timestamp
    }

    private let configuration: StateMachine.Configuration
    private(set) var floor = Timestamp.zero
    private(set) var records: [Record] = []
    private(set) var clients: [ClientID: Client] = [:]

    init(configuration: StateMachine.Configuration) { self.configuration = configuration }

    mutating func advance(to logTime: Timestamp) {
        raise(to: logTime.earlier(by: configuration.sessionWindow))
    }

    /// Nil: the write is new and runs.
    mutating func answer(to session: Session, at version: Timestamp) -> Outcome? {
        let ahead = UInt64(configuration.sessionAheadMax.wholeMilliseconds) << 16
        if session.firstIssue.rawValue > version.rawValue + ahead {
            return .refused(reason: "first issued ahead of the tablet's time")
        }
        if let client = clients[session.client] {
            let mark = max(client.mark, session.lowWaterMark)
            clients[session.client]?.mark = mark
            records.removeAll {
                $0.session.client == session.client && $0.session.sequence < mark
            }
            if session.sequence < mark { return .duplicate }
            let known = records.first {
                $0.session.client == session.client && $0.session.sequence == session.sequence
            }
            if let known { return known.outcome }
        }
        if session.firstIssue < floor { return .sessionExpired }
        return nil
    }

    mutating func keep(_ outcome: Outcome, _ session: Session) {
        let known = clients[session.client]
        clients[session.client] = Client(
            mark: max(known?.mark ?? session.lowWaterMark, session.lowWaterMark),
            latest: max(known?.latest ?? .zero, session.firstIssue))
        records.append(Record(session: session, outcome: outcome))
        while records.count > configuration.sessionsMax,
            let oldest = records.map(\.session.firstIssue).min()
        {
            raise(to: oldest.advanced(by: 1))
        }
        while clients.count > configuration.sessionsMax,
            let oldest = clients.values.map(\.latest).min()
        {
            raise(to: oldest.advanced(by: 1))
        }
    }

    private mutating func raise(to newFloor: Timestamp) {
        guard newFloor > floor else { return }
        floor = newFloor
        records.removeAll { $0.session.firstIssue < newFloor }
        clients = clients.filter { $0.value.latest >= newFloor }
    }
}
