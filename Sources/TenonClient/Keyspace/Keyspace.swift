public import TenonCore
internal import TenonWire

/// A named, ordered map of keys to values. A small value: make one wherever you need it.
///
/// Every call takes a `timeout` (nil: the configuration's, 5 s) that ends the wait, whatever
/// happens, and throws a ``TenonError`` that says whether a write may have taken effect.
public struct Keyspace: Sendable {
    /// Its name.
    public let name: String
    let client: TenonClient

    init(name: String, client: TenonClient) {
        self.name = name
        self.client = client
    }

    // MARK: Reads

    /// The value of a key, nil when it has none: linearizable, or as of the version `at`.
    ///
    /// With a `staleness` the nearest replica answers that is new enough, as the client's
    /// ``TenonClient/Configuration/locality`` says which that is: with
    /// ``Staleness/within(_:)`` no older than that, with ``Staleness/any`` whatever it has, without
    /// a majority too.
    ///
    /// - Throws: ``TenonError/Kind/historyGone`` for a version below the history floor,
    ///   ``TenonError/Kind/unavailable`` (no replica is new enough, among others),
    ///   ``TenonError/Kind/overloaded``, …
    public func get(
        _ key: Bytes, at version: Version? = nil, staleness: Staleness = .none,
        timeout: Duration? = nil
    ) async throws(TenonError) -> StoredValue? {
        try await read(key, at: version, staleness: staleness, timeout: timeout).value
    }

    /// As ``get(_:at:staleness:timeout:)``, with the point at which the answer stood, and its age.
    public func read(
        _ key: Bytes, at version: Version? = nil, staleness: Staleness = .none,
        timeout: Duration? = nil
    ) async throws(TenonError) -> Stood<StoredValue?> {
        try Keyspace.check(key)
        let answer = try await client.perform(
            .ask(.get(key: key, at: version, staleness: staleness)), .key(keyspace: name, key),
            timeout: timeout)
        guard case .value(let value, let point) = answer else { throw answer.isOfTheWrongKind }
        return Stood(value?.compacted(), at: Point(point), age: point.age)
    }

    // MARK: Writes

    /// Sets the value of a key, if the condition holds. Returns the version it was written at.
    ///
    /// - Throws: ``TenonError/Kind/conditionFailed`` with what the key had (a definite no),
    ///   ``TenonError/Kind/unavailable`` with ``TenonError/Outcome/unknown`` when it was sent and
    ///   no answer came by the deadline, ``TenonError/Kind/tooLarge``, ``TenonError/Kind/diskFull``, …
    @discardableResult
    public func put(
        _ key: Bytes, _ value: Bytes, if condition: Condition = .none, timeout: Duration? = nil
    ) async throws(TenonError) -> Version {
        try await write(key, value, if: condition, timeout: timeout).value
    }

    /// As ``put(_:_:if:timeout:)``, with the point at which the write stood.
    @discardableResult
    public func write(
        _ key: Bytes, _ value: Bytes, if condition: Condition = .none, timeout: Duration? = nil
    ) async throws(TenonError) -> Stood<Version> {
        try Keyspace.check(key)
        try Keyspace.check(value: value)
        try Keyspace.check(condition)
        let (outcome, point) = try await commit(
            .put(key: key, value: value, condition: condition), .key(keyspace: name, key),
            client.deadline(after: timeout))
        guard case .written(let version) = outcome else { throw outcome.isOfTheWrongKind }
        return Stood(version, at: Point(tablet: point.tablet, version: version))
    }

    /// Removes the value of a key, if the condition holds.
    ///
    /// - Throws: as ``put(_:_:if:timeout:)``.
    @discardableResult
    public func delete(
        _ key: Bytes, if condition: Condition = .none, timeout: Duration? = nil
    ) async throws(TenonError) -> DeleteResult {
        try Keyspace.check(key)
        try Keyspace.check(condition)
        let (outcome, point) = try await commit(
            .delete(key: key, condition: condition), .key(keyspace: name, key),
            client.deadline(after: timeout))
        guard case .deleted(let version, let found) = outcome else {
            throw outcome.isOfTheWrongKind
        }
        return DeleteResult(found: found, at: Point(tablet: point.tablet, version: version))
    }

    /// Does a write and tells outcomes from errors.
    func commit(
        _ operation: Operation, _ route: Call.Route, _ deadline: Instant
    ) async throws(TenonError) -> (Outcome, Point) {
        let answer = try await client.perform(.write(operation), route, deadline: deadline)
        guard case .outcome(let outcome, let readPoint) = answer else {
            throw answer.isOfTheWrongKind
        }
        let point = Point(readPoint)
        switch outcome {
        case .written, .deleted, .transaction, .upkeep: return (outcome, point)
        case .conditionFailed(let current):
            throw TenonError(
                .conditionFailed, .notApplied, "the condition does not hold",
                current: current?.compacted(), at: point)
        case .sessionExpired:
            throw TenonError(
                .sessionExpired, .unknown, "the retry came too late to tell; read, then decide")
        case .duplicate:
            throw TenonError(
                .unavailable, .unknown, "the tablet has forgotten this write; read, then decide")
        case .refused(let reason):
            throw TenonError(.invalid, .notApplied, reason)
        }
    }

    // MARK: Bounds, before anything is sent

    static func check(_ key: Bytes) throws(TenonError) {
        guard key.count <= Limits.keyBytesMax else {
            throw TenonError(
                .tooLarge, .notApplied,
                "a key of \(key.count) B; the longest has \(Limits.keyBytesMax)")
        }
    }

    static func check(value: Bytes) throws(TenonError) {
        guard value.count <= Limits.valueBytesMax else {
            throw TenonError(
                .tooLarge, .notApplied,
                "a value of \(value.count) B; the longest has \(Limits.valueBytesMax)")
        }
    }

    static func check(_ condition: Condition) throws(TenonError) {
        if case .value(let value) = condition { try check(value: value) }
    }

    static func check(from: Bytes, to: Bytes?) throws(TenonError) {
        try check(from)
        guard let to else { return }
        try check(to)
        guard from < to else {
            throw TenonError(
                .invalid, .notApplied, "an empty range: its start is not below its end")
        }
    }
}

extension StoredValue {
    /// The value in a buffer of its own: one that came with a batch of answers would keep all of
    /// them in memory.
    func compacted() -> StoredValue { StoredValue(bytes: bytes.compacted(), version: version) }
}

extension Answer {
    /// For an answer that ``Call/accepts(_:)`` lets through and its caller cannot use: never.
    var isOfTheWrongKind: TenonError {
        TenonError(.unavailable, .unknown, "a node answered something else than was asked")
    }
}

extension Outcome {
    /// A write's outcome that is not of its kind: the node and the client disagree.
    var isOfTheWrongKind: TenonError {
        TenonError(.unavailable, .unknown, "a node reported another outcome than was asked for")
    }
}
