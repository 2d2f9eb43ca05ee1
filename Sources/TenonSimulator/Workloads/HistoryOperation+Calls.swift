package import TenonChecker
package import TenonCore
package import TenonWire

extension HistoryOperation.Action {
    /// The request that asks for it: a write with the next sequence number of the client's
    /// session, a read at `asOf`, nil for the newest.
    package func body(for client: SimulatedClient, asOf: Timestamp? = nil) -> RequestBody {
        if let operation { return client.write(operation) }
        switch self {
        case .get(let key): return .get(key: key, at: asOf)
        case .getMany(let keys): return .getMany(keys: keys, at: asOf)
        case .scan(let from, let to, let limit, let isReverse):
            return .scan(
                ScanRequest(
                    from: from, to: to, limit: limit ?? Limits.scanItemsMax,
                    isReversed: isReverse, at: asOf))
        case .put, .delete, .compareAndSet, .compareAndDelete, .deleteRange, .transaction, .other:
            preconditionFailure("\(self) cannot be asked for")
        }
    }

    /// The command of a write; nil for a read.
    package var operation: Operation? {
        switch self {
        case .put(let key, let value): .put(key: key, value: value, condition: .none)
        case .compareAndSet(let key, let value, let expect):
            .put(key: key, value: value, condition: expect)
        case .delete(let key): .delete(key: key, condition: .none)
        case .compareAndDelete(let key, let expect): .delete(key: key, condition: expect)
        case .deleteRange(let from, let to): .deleteRange(from: from, to: to)
        case .transaction(let transaction): .transaction(transaction)
        case .get, .getMany, .scan, .other: nil
        }
    }
}

extension HistoryOperation {
    /// Notes how the call ended, now.
    package mutating func note(_ result: CallResult, now: Instant) {
        answeredAt = now
        switch result {
        case .answer(let answer): note(answer)
        case .notApplied: self.result = .fail
        case .unknown: self.result = isWrite ? .unknown : .fail
        }
        if self.result == .unknown { answeredAt = nil }
    }

    private mutating func note(_ answer: Answer) {
        switch answer {
        case .value(let value, let point):
            note(point)
            read = value.map { .value($0.bytes) } ?? .absent
            version = value?.version
        case .values(let found, let point):
            note(point)
            values = found
        case .page(let found, let next, let point):
            note(point)
            items = found.map {
                Item(key: $0.key, value: $0.value.bytes, version: $0.value.version)
            }
            rest = next.map(PageToken.key)
        case .outcome(let outcome, let point):
            note(point)
            note(outcome)
        case .directory, .status, .done, .refusal:
            preconditionFailure("\(action) was answered \(answer)")
        }
    }

    private mutating func note(_ point: ReadPoint) {
        result = .ok
        at = Point(tablet: point.tablet, version: point.version)
    }

    private mutating func note(_ outcome: Outcome) {
        switch outcome {
        case .written(let version): self.version = version
        case .deleted(let version, let found):
            self.version = version
            self.found = found
        case .transaction(let version, let succeeded, let results):
            self.version = version
            self.succeeded = succeeded
            self.results = results
        case .conditionFailed(let current):
            result = .fail
            read = current.map { .value($0.bytes) } ?? .absent
            version = current?.version
        case .sessionExpired, .duplicate:
            result = .unknown
            at = nil
        case .refused:
            result = .fail
            at = nil
        case .upkeep: preconditionFailure("\(action) came to \(outcome)")
        }
    }
}

extension PageToken {
    /// Where the next page begins, or a backward one ends.
    fileprivate static func key(of bytes: Bytes) -> Bytes {
        do throws(DecodingError) {
            return try PageToken(bytes).key
        } catch {
            preconditionFailure("a node's page token cannot be read: \(error)")
        }
    }
}
