package import TenonCore

/// One operation as the worker that called it saw it: when it was sent, when and how it was
/// answered. A history is a list of these, and all that a checker knows of a run.
///
/// File form (ndjson, one object a line, fields in any order, unknown fields skipped):
/// ```
/// p         worker, a number              t0, t1    ns on one monotonic clock; t1 null: no answer
/// op        get getMany put delete cas scan deleteRange txn, or a name that is not modelled
/// key value expect read from to rest      text; with "64" at the end of the name: base64
/// expect    of a cas or a delete: text, null (absent), {"version":"…"} or {"present":true}
/// res       ok | fail (surely not applied) | unknown (may be applied, now or later)
/// read      what the key had: text, or null for nothing
/// version   of a write: its own; of what was read: that of the value; decimal text
/// found     of a delete: whether there was a value
/// at        where the answer stood: {"tablet":2,"version":"…"} (Rule S7)
/// asOf      of a read at a version: the version asked for; such a read may be as old as that
/// limit reverse items   of a scan; items: [{"key","value","version"}]
/// rest      of a page that is not the last: the key where the next begins (backward: ends)
/// keys values           of a getMany; values: [null | {"value","version"}]; "keys64": base64
/// if then else succeeded results          of a txn, as `tenon pipe` has them (Docs/Protocol.md)
/// ```
package struct HistoryOperation: Hashable, Sendable {
    /// What was asked for.
    package enum Action: Hashable, Sendable {
        case get(key: Bytes)
        case put(key: Bytes, value: Bytes)
        case delete(key: Bytes)
        /// Writes `value` when `expect` holds.
        case compareAndSet(key: Bytes, value: Bytes, expect: Condition)
        /// Deletes when `expect` holds.
        case compareAndDelete(key: Bytes, expect: Condition)
        case getMany(keys: [Bytes])
        case scan(from: Bytes, to: Bytes?, limit: Int?, isReverse: Bool)
        case deleteRange(from: Bytes, to: Bytes?)
        /// Within one tablet. Indirect, because it is several times as large as the others.
        indirect case transaction(Transaction)
        /// An operation that no checker here models.
        case other(name: String)
    }

    /// How it ended for the caller: the three outcomes of a write.
    package enum Result: String, Hashable, Sendable {
        case ok
        case fail
        case unknown
    }

    /// What a key had when somebody looked.
    package enum Reading: Hashable, Sendable {
        case absent
        case value(Bytes)
    }

    /// Where an answer stood (Rule S7).
    package struct Point: Hashable, Sendable {
        package var tablet: TabletID
        package var version: Timestamp

        package init(tablet: TabletID, version: Timestamp) {
            self.tablet = tablet
            self.version = version
        }
    }

    /// One item that a scan returned.
    package struct Item: Hashable, Sendable {
        package var key: Bytes
        package var value: Bytes
        package var version: Timestamp?

        package init(key: Bytes, value: Bytes, version: Timestamp? = nil) {
            self.key = key
            self.value = value
            self.version = version
        }
    }

    package var worker: Int
    package var sentAt: Instant
    /// Nil when no answer came.
    package var answeredAt: Instant?
    package var action: Action
    package var result: Result
    /// What a get returned, or a compare-and-set that failed saw; nil when the answer did not say.
    package var read: Reading?
    package var version: Timestamp?
    package var found: Bool?
    package var at: Point?
    package var asOf: Timestamp?
    package var items: [Item]
    /// Of a scan's page: where what it did not look at begins, or backward ends; nil when it
    /// looked at all that was asked for, up to its limit.
    package var rest: Bytes?
    /// What the keys of a getMany had, in their order.
    package var values: [StoredValue?] = []
    /// Of a transaction: whether its conditions held, and what its operations gave.
    package var succeeded: Bool?
    package var results: [OperationResult] = []

    package init(
        worker: Int, sentAt: Instant, answeredAt: Instant?, action: Action, result: Result,
        read: Reading? = nil, version: Timestamp? = nil, found: Bool? = nil, at: Point? = nil,
        asOf: Timestamp? = nil, items: [Item] = []
    ) {
        self.worker = worker
        self.sentAt = sentAt
        self.answeredAt = answeredAt
        self.action = action
        self.result = result
        self.read = read
        self.version = version
        self.found = found
        self.at = at
        self.asOf = asOf
        self.items = items
    }
}

extension HistoryOperation {
    /// The key of an operation on one key.
    package var key: Bytes? {
        switch action {
        case .get(let key), .put(let key, _), .delete(let key), .compareAndSet(let key, _, _),
            .compareAndDelete(let key, _):
            key
        case .getMany, .scan, .deleteRange, .transaction, .other: nil
        }
    }

    /// Whether it changes what a key has when it takes effect.
    package var isWrite: Bool {
        switch action {
        case .put, .delete, .compareAndSet, .compareAndDelete, .deleteRange, .transaction: true
        case .get, .getMany, .scan, .other: false
        }
    }

    /// Whether it took effect, as its caller was told.
    package var isApplied: Bool { isWrite && result == .ok }

    /// When its effect is surely over: the answer, or the end of time when none came or the
    /// outcome is unknown.
    package var endsAt: Instant {
        result == .unknown ? .distantFuture : (answeredAt ?? .distantFuture)
    }
}
