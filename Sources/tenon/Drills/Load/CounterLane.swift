import TenonCore

/// One counter that is raised by compare-and-set, one increment at a time, and the account of it.
///
/// A counter's value is `COUNT TOKEN`, the token naming the increment that wrote it. Each
/// increment is conditional on the version that was read before, so at most one of several
/// unknown ones can have been applied, and the next reading shows which. So the account is exact:
/// the counter must hold what was acknowledged plus what was found applied (Rule S3: a retry whose
/// first try was applied must be told so).
struct CounterLane: Sendable {
    let key: Bytes
    private(set) var acknowledged = 0
    private(set) var foundApplied = 0
    /// What cannot be: an increment was refused or unknown to none, and is there all the same.
    private(set) var contradictions: [String] = []
    /// What the counter holds as far as is known; nil when it must be read first.
    private(set) var known: Reading?
    /// Increments of unknown outcome that may still be found.
    private var pending: Set<Int> = []
    private var nextToken = 1

    /// The counter as somebody saw it.
    struct Reading: Hashable, Sendable {
        var count: Int
        /// 0 when the counter has no value yet.
        var token: Int
        /// Nil when the counter has no value yet.
        var version: Timestamp?
    }

    /// An increment to send.
    struct Attempt: Hashable, Sendable {
        var token: Int
        var condition: Condition
        var value: Bytes
        fileprivate var next: Int
    }

    init(key: Bytes) { self.key = key }

    /// Takes what a read returned.
    mutating func observe(_ value: StoredValue?) {
        guard let value else {
            if known != nil, known?.version != nil { contradict("the counter is gone") }
            known = Reading(count: 0, token: 0, version: nil)
            return
        }
        guard let reading = CounterLane.parse(value) else {
            contradict("the counter holds something else")
            return
        }
        if pending.contains(reading.token) {
            foundApplied += 1
            // The others waited for the same version, which is gone now.
            pending.removeAll()
        } else if reading.count > acknowledged + foundApplied {
            contradict("increment \(reading.token) is applied, but was refused or never sent")
        }
        known = reading
    }

    /// The next increment, from what is known. - Precondition: ``known`` is not nil.
    mutating func attempt() -> Attempt {
        guard let known else { preconditionFailure("an increment of an unread counter") }
        let token = nextToken
        nextToken += 1
        return Attempt(
            token: token, condition: known.version.map { .version($0) } ?? .absent,
            value: Bytes("\(known.count + 1) \(token)"), next: known.count + 1)
    }

    /// It was acknowledged.
    mutating func succeeded(_ attempt: Attempt, version: Timestamp) {
        acknowledged += 1
        pending.removeAll()
        known = Reading(count: attempt.next, token: attempt.token, version: version)
    }

    /// The condition did not hold: `current` is there instead, written by an earlier increment
    /// whose answer was lost.
    mutating func conditionFailed(_ attempt: Attempt, current: StoredValue?) {
        if let current, CounterLane.parse(current)?.token == attempt.token {
            contradict("increment \(attempt.token) was refused because of itself")
        }
        observe(current)
    }

    /// Nobody knows whether it was applied.
    mutating func becameUnknown(_ attempt: Attempt) {
        pending.insert(attempt.token)
        known = nil
    }

    /// It was surely not applied.
    mutating func wasRefused(_ attempt: Attempt) {
        known = nil
    }

    private mutating func contradict(_ what: String) {
        contradictions.append("\(key): \(what)")
    }

    private static func parse(_ value: StoredValue) -> Reading? {
        guard let text = value.bytes.utf8Text else { return nil }
        let parts = text.split(separator: " ")
        guard parts.count == 2, let count = Int(parts[0]), let token = Int(parts[1]) else {
            return nil
        }
        return Reading(count: count, token: token, version: value.version)
    }
}
