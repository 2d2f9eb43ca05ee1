public import TenonCore
internal import TenonWire

/// A version of a key: the timestamp at which a value was committed.
public typealias Version = Timestamp

/// The point of a tablet's history at which an answer stood (Rule S7).
///
/// Answers of one tablet can be put in order by their versions, whoever got them.
public struct Point: Hashable, Sendable {
    /// The tablet that answered.
    public let tablet: TabletID
    /// The last version it had applied; for a write, the write's own.
    public let version: Version

    /// The point of `tablet` at `version`.
    public init(tablet: TabletID, version: Version) {
        self.tablet = tablet
        self.version = version
    }

    init(_ point: ReadPoint) { self.init(tablet: point.tablet, version: point.version) }
}

/// An answer and the point at which it stood.
public struct Stood<Value: Sendable>: Sendable {
    /// The answer.
    public let value: Value
    /// Where it stood.
    public let at: Point
    /// How old what stood there was (Rule S8).
    public let age: ReadAge

    /// `value` as of `at`.
    public init(_ value: Value, at: Point, age: ReadAge = .newest) {
        self.value = value
        self.at = at
        self.age = age
    }
}

/// What a delete did.
public struct DeleteResult: Hashable, Sendable {
    /// Whether the key had a value.
    public let found: Bool
    /// The point at which it was deleted.
    public let at: Point

    /// When it was deleted.
    public var version: Version { at.version }
}

/// What a deletion of a range did: one write a tablet, each atomic.
public struct RangeDeletion: Hashable, Sendable {
    /// Where each tablet's part of the range was deleted, in the order of keys.
    public let points: [Point]

    /// The point with the highest version.
    public var at: Point
    /// The highest version of its parts.
    public var version: Version { at.version }
}

/// What a transaction did.
public struct TransactionResult: Hashable, Sendable {
    /// Whether all conditions held, so that the `then` list ran.
    public let succeeded: Bool
    /// One result an operation of the list that ran.
    public let results: [OperationResult]
    /// The point at which it was committed.
    public let at: Point

    /// When it was committed.
    public var version: Version { at.version }
}

/// A key and its value, as a scan gives them.
public struct Item: Hashable, Sendable {
    /// The key.
    public let key: Bytes
    /// Its value and version.
    public let value: StoredValue

    /// `key` with `value`.
    public init(key: Bytes, value: StoredValue) {
        self.key = key
        self.value = value
    }
}

/// One page of a scan. It ends early at a tablet's border, so even an empty page may have a next.
public struct ScanPage: Hashable, Sendable {
    /// Keys in the scan's order. They share the memory of the page they came in.
    public let items: [Item]
    /// Asks for the page after this one; nil at the end of the scan.
    public let next: ScanToken?
    /// Where the page stood.
    public let at: Point
    /// How old what stood there was (Rule S8).
    public let age: ReadAge
}
