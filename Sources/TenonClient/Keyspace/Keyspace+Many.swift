public import TenonCore
internal import TenonWire

/// Calls that touch many keys: reads of a list, deletion of a range, one-tablet transactions.
extension Keyspace {
    /// The values of many keys, in the order of `keys`. The keys of one tablet are read at one
    /// point; those of different tablets at points of their own.
    ///
    /// - Throws: ``TenonError/Kind/tooLarge`` over ``Limits/getManyKeysMax`` keys or 8 MiB of
    ///   them, and as ``get(_:at:staleness:timeout:)``.
    public func getMany(
        _ keys: [Bytes], at version: Version? = nil, staleness: Staleness = .none,
        timeout: Duration? = nil
    ) async throws(TenonError) -> [StoredValue?] {
        try await readMany(keys, at: version, staleness: staleness, timeout: timeout)
            .map(\.value)
    }

    /// As ``getMany(_:at:staleness:timeout:)``, each value with the point at which it stood.
    public func readMany(
        _ keys: [Bytes], at version: Version? = nil, staleness: Staleness = .none,
        timeout: Duration? = nil
    ) async throws(TenonError) -> [Stood<StoredValue?>] {
        try Keyspace.check(keys)
        let deadline = client.deadline(after: timeout)
        var found = [Stood<StoredValue?>?](repeating: nil, count: keys.count)
        var left = Array(keys.indices)
        // A tablet that was split meanwhile is asked again, and its half too.
        while !left.isEmpty {
            for group in try await byTablet(keys, left, deadline) {
                let wanted = group.places.map { keys[$0] }
                guard
                    let part = try await readPart(
                        .getMany(keys: wanted, at: version, staleness: staleness), group, deadline)
                else { continue }
                for (place, value) in zip(group.places, part) { found[place] = value }
            }
            left.removeAll { found[$0] != nil }
        }
        return found.compactMap { $0 }
    }

    /// The values of keys of one tablet; nil when it was split before it answered.
    private func readPart(
        _ question: RequestBody, _ group: (tablet: TabletDescriptor, places: [Int]),
        _ deadline: Instant
    ) async throws(TenonError) -> [Stood<StoredValue?>]? {
        let answer: Answer
        do throws(TenonError) {
            answer = try await client.perform(
                .ask(question), .part(group.tablet.id, group.tablet.generation),
                deadline: deadline)
        } catch {
            guard error.kind == .moved else { throw error }
            return nil
        }
        guard case .values(let values, let point) = answer, values.count == group.places.count
        else { throw answer.isOfTheWrongKind }
        return values.map { Stood($0?.compacted(), at: Point(point), age: point.age) }
    }

    /// Removes the values of all keys from `from` up to and without `to` (nil: to the end).
    /// Atomic for each tablet; a failure may leave the parts before it done.
    ///
    /// - Throws: as ``put(_:_:if:timeout:)``; the outcome is `unknown` once a part was done.
    @discardableResult
    public func deleteRange(
        from: Bytes, to: Bytes?, timeout: Duration? = nil
    ) async throws(TenonError) -> RangeDeletion {
        try Keyspace.check(from: from, to: to)
        let deadline = client.deadline(after: timeout)
        var points: [Point] = []
        var rest: Bytes? = from
        while let position = rest {
            do throws(TenonError) {
                let tablets = try await tablets(deadline)
                guard let tablet = tablets.first(where: { $0.overlaps(from: position, to: to) })
                else { break }
                points.append(try await deletePart(of: tablet, from: position, to: to, deadline))
                rest = tablet.upper.flatMap { upper in
                    to.map { upper < $0 } ?? true ? upper : nil
                }
            } catch {
                // Of a tablet that was split before it did anything both parts are to be asked.
                if error.kind == .moved, error.outcome == .notApplied { continue }
                throw points.isEmpty ? error.settled : error.afterAPart
            }
        }
        guard let last = points.max(by: { $0.version < $1.version }) else { throw noTablet }
        return RangeDeletion(points: points, at: last)
    }

    private func deletePart(
        of tablet: TabletDescriptor, from: Bytes, to: Bytes?, _ deadline: Instant
    ) async throws(TenonError) -> Point {
        let part = tablet.part(from: from, to: to)
        let (outcome, point) = try await commit(
            .deleteRange(from: part.from, to: part.to), .part(tablet.id, tablet.generation),
            deadline)
        guard case .written(let version) = outcome else { throw outcome.isOfTheWrongKind }
        return Point(tablet: point.tablet, version: version)
    }

    /// Checks conditions and then does one list of puts, deletes, deleteRanges and gets or the
    /// other, all at once. The keys have to be of one tablet.
    ///
    /// - Throws: ``TenonError/Kind/invalid`` for keys of several tablets or no key at all,
    ///   ``TenonError/Kind/tooLarge`` over 4,096 operations or 8 MiB, and as
    ///   ``put(_:_:if:timeout:)``.
    @discardableResult
    public func transaction(
        if conditions: [KeyCondition], then: [Operation], else: [Operation] = [],
        timeout: Duration? = nil
    ) async throws(TenonError) -> TransactionResult {
        let transaction = Transaction(conditions: conditions, then: then, else: `else`)
        try Keyspace.check(transaction)
        let deadline = client.deadline(after: timeout)
        let (outcome, point) = try await following { () async throws(TenonError) in
            let tablet = try await self.tablet(of: transaction, deadline)
            return try await commit(
                .transaction(transaction), .part(tablet.id, tablet.generation), deadline)
        }
        guard case .transaction(let version, let succeeded, let results) = outcome else {
            throw outcome.isOfTheWrongKind
        }
        return TransactionResult(
            succeeded: succeeded, results: results,
            at: Point(tablet: point.tablet, version: version))
    }

    private func tablet(
        of transaction: Transaction, _ deadline: Instant
    ) async throws(TenonError) -> TabletDescriptor {
        let ranges = transaction.ranges
        guard let first = ranges.first else {
            throw TenonError(.invalid, .notApplied, "a transaction of nothing")
        }
        let tablets = try await tablets(deadline)
        guard let tablet = tablets.first(where: { $0.holds(first.from) }) else { throw noTablet }
        for range in ranges where !tablet.holds(from: range.from, to: range.to) {
            throw TenonError(
                .invalid, .notApplied,
                "the keys lie in several tablets, a transaction is of one: split it by tablet")
        }
        return tablet
    }

    /// What `body` gives, which looks at the tablets as they are: again, when the one that it asks
    /// was split before it did anything.
    func following<Result>(
        _ body: () async throws(TenonError) -> Result
    ) async throws(TenonError) -> Result {
        while true {
            do throws(TenonError) {
                return try await body()
            } catch {
                guard error.kind == .moved, error.outcome == .notApplied else {
                    throw error.settled
                }
            }
        }
    }

    /// The tablets of this keyspace, in the order of keys.
    func tablets(_ deadline: Instant) async throws(TenonError) -> [TabletDescriptor] {
        let directory = try await client.directory(deadline: deadline)
        guard let keyspace = directory.keyspaces.first(where: { $0.name == name }) else {
            throw TenonError(.invalid, .notApplied, "there is no keyspace \"\(name)\"")
        }
        return directory.tablets.filter { $0.keyspace == keyspace.id }
    }

    private func byTablet(
        _ keys: [Bytes], _ wanted: [Int], _ deadline: Instant
    ) async throws(TenonError) -> [(tablet: TabletDescriptor, places: [Int])] {
        let tablets = try await tablets(deadline)
        guard let keyspace = tablets.first?.keyspace else { throw noTablet }
        var placesOfTablet = [[Int]](repeating: [], count: tablets.count)
        for place in wanted {
            guard let tablet = tablets.place(in: keyspace, holding: keys[place]) else {
                throw noTablet
            }
            placesOfTablet[tablet].append(place)
        }
        return zip(tablets, placesOfTablet).filter { !$1.isEmpty }.map { ($0, $1) }
    }

    var noTablet: TenonError {
        TenonError(.unavailable, .notApplied, "no tablet of \"\(name)\" holds the key")
    }

    private static func check(_ keys: [Bytes]) throws(TenonError) {
        for key in keys { try check(key) }
        let bytes = keys.reduce(0) { $0 + $1.count }
        guard keys.count <= Limits.getManyKeysMax, bytes <= Limits.transactionBytesMax else {
            throw TenonError(
                .tooLarge, .notApplied,
                "\(keys.count) keys of \(bytes) B in one call; the bounds are "
                    + "\(Limits.getManyKeysMax) and \(Limits.transactionBytesMax) B")
        }
        guard !keys.isEmpty else {
            throw TenonError(.invalid, .notApplied, "no key was given")
        }
    }

    private static func check(_ transaction: Transaction) throws(TenonError) {
        let operations = transaction.operationCount
        let bytes = transaction.byteCount
        guard operations <= Limits.transactionOperationsMax, bytes <= Limits.transactionBytesMax
        else {
            throw TenonError(
                .tooLarge, .notApplied,
                "a transaction of \(operations) operations and \(bytes) B; the bounds are "
                    + "\(Limits.transactionOperationsMax) and \(Limits.transactionBytesMax) B")
        }
        for item in transaction.conditions {
            try check(item.key)
            try check(item.condition)
        }
        for operation in transaction.then + transaction.else { try check(operation) }
    }

    private static func check(_ operation: Operation) throws(TenonError) {
        switch operation {
        case .put(let key, let value, let condition):
            try check(key)
            try check(value: value)
            try check(condition)
        case .delete(let key, let condition):
            try check(key)
            try check(condition)
        case .deleteRange(let from, let to): try check(from: from, to: to)
        case .get(let key): try check(key)
        case .transaction, .raiseHistoryFloor, .contentDigest:
            throw TenonError(
                .invalid, .notApplied,
                "a transaction holds puts, deletes, deleteRanges and gets only")
        }
    }
}

extension TenonError {
    /// This error, after an earlier part of the same call was done.
    fileprivate var afterAPart: TenonError {
        TenonError(settled.kind, .unknown, "a part was done before this: \(message)")
    }

    /// This error as callers know it: ``Kind/moved`` is the client's own.
    var settled: TenonError {
        kind == .moved ? TenonError(.unavailable, outcome, message) : self
    }
}

extension Transaction {
    /// What it touches, as intervals; a key is the interval up to its successor.
    fileprivate var ranges: [(from: Bytes, to: Bytes?)] {
        conditions.map { ($0.key, $0.key.successor) } + (then + `else`).compactMap { $0.range }
    }
}

extension Operation {
    fileprivate var range: (from: Bytes, to: Bytes?)? {
        switch self {
        case .put(let key, _, _), .delete(let key, _), .get(let key): (key, key.successor)
        case .deleteRange(let from, let to): (from, to)
        case .transaction, .raiseHistoryFloor, .contentDigest: nil
        }
    }
}

extension TabletDescriptor {
    /// Whether the key lies in it.
    func holds(_ key: Bytes) -> Bool {
        guard key >= lower else { return false }
        guard let upper else { return true }
        return key < upper
    }

    /// Whether all keys from `from` up to and without `to` lie in it.
    func holds(from: Bytes, to: Bytes?) -> Bool {
        guard from >= lower else { return false }
        guard let upper else { return true }
        guard let to else { return false }
        return to <= upper || from.successor == to && from < upper
    }

    /// Whether some key from `from` up to and without `to` lies in it.
    func overlaps(from: Bytes, to: Bytes?) -> Bool {
        if let to, to <= lower { return false }
        if let upper, upper <= from { return false }
        return true
    }

    /// What of an interval lies in it.
    func part(from: Bytes, to: Bytes?) -> (from: Bytes, to: Bytes?) {
        let end: Bytes? =
            switch (to, upper) {
            case (let to?, let upper?): min(to, upper)
            case (let to, let upper): to ?? upper
            }
        return (max(from, lower), end)
    }
}
