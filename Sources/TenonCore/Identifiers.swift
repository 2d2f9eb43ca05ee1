/// Numbers that name things. Each is a type of its own, so that one is never passed for another.

/// A number that names or counts one kind of thing.
public protocol NumericIdentifier: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The type of the number.
    associatedtype RawValue: FixedWidthInteger & UnsignedInteger & Sendable
    /// The number.
    var rawValue: RawValue { get }
    /// The thing with this number.
    init(_ rawValue: RawValue)
}

extension NumericIdentifier {
    /// Order of the numbers.
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    /// The number in decimal.
    public var description: String { String(rawValue) }
    /// The next one. Traps at the end of the number's range.
    package var next: Self { Self(rawValue + 1) }
}

/// A node of a cluster. Given at join, never reused. At formation it is the rank (from 1) of the
/// node's name in the sorted list of names. 0 names no node.
public struct NodeID: NumericIdentifier {
    /// The number.
    public let rawValue: UInt32
    /// The node with this number.
    public init(_ rawValue: UInt32) { self.rawValue = rawValue }
}

/// A tablet and its Raft group. Tablet 1 is the directory. 0 names none.
public struct TabletID: NumericIdentifier {
    /// The number.
    public let rawValue: UInt64
    /// The tablet with this number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    /// The tablet that holds nodes, keyspaces and tablet descriptors.
    public static let directory = TabletID(1)
}

/// One node's copy of a tablet. Never used twice for a tablet (Rule I3). 0 names none.
package struct ReplicaID: NumericIdentifier {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static let none = ReplicaID(0)
}

/// A term of a Raft group: at most one leader each.
package struct Term: NumericIdentifier {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static let zero = Term(0)
}

/// A place in a Raft group's log. The first entry is at 1; 0 is before it.
package struct LogIndex: NumericIdentifier {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static let zero = LogIndex(0)

    /// The one before. Traps at zero.
    package var previous: LogIndex { LogIndex(rawValue - 1) }
    package func advanced(by distance: Int) -> LogIndex {
        LogIndex(UInt64(Int64(rawValue) + Int64(distance)))
    }
    /// How far `other` lies after this; negative when before.
    package func distance(to other: LogIndex) -> Int {
        Int(Int64(bitPattern: other.rawValue &- rawValue))
    }
}

/// The number that an operator's recovery raises. What carries a lower one is refused.
package struct Epoch: NumericIdentifier {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static let first = Epoch(1)
}

/// Counts the changes of a tablet's members and bounds. A request names the one it routed by.
public struct Generation: NumericIdentifier {
    /// The number.
    public let rawValue: UInt64
    /// The generation with this number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    /// The generation of a tablet as it was made.
    public static let first = Generation(1)
    /// Before any.
    package static let none = Generation(0)
    /// After any.
    package static let last = Generation(.max)
}

/// How often a node has started from its folder (Rule I2). Raised and synced before it connects.
package struct BootNumber: NumericIdentifier {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// A named map of keys. 1 is `default`.
public struct KeyspaceID: NumericIdentifier {
    /// The number.
    public let rawValue: UInt32
    /// The keyspace with this number.
    public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    /// The keyspace `default`.
    public static let `default` = KeyspaceID(1)
}

/// The rules by which replicas apply an entry (Rule S6). Raised by command only.
package struct LogicVersion: NumericIdentifier {
    package let rawValue: UInt16
    package init(_ rawValue: UInt16) { self.rawValue = rawValue }
    /// The newest that this code applies.
    package static let newest = LogicVersion(1)
}

/// One write of the log by one group, in order. `persisted(ticket)` completes it (Rule L4).
package struct WriteTicket: NumericIdentifier {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static let zero = WriteTicket(0)
}

/// A client's write, counted by the client. Answered writes fall below its low-water mark.
package struct SequenceNumber: NumericIdentifier {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// A request on one connection; its answer carries the same number.
package struct RequestID: NumericIdentifier {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// A client connection of this process, as the server numbers them. Never reused in a process.
package struct ConnectionID: NumericIdentifier {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// 128 random bits that name something for ever, wherever it goes.
public protocol RandomIdentifier: Hashable, Sendable, CustomStringConvertible {
    /// The upper and lower 64 bits.
    var high: UInt64 { get }
    /// The lower 64 bits.
    var low: UInt64 { get }
    /// The one with these bits.
    init(high: UInt64, low: UInt64)
}

extension RandomIdentifier {
    /// 32 hexadecimal digits.
    public var description: String {
        hexadecimal(high, digits: 16) + hexadecimal(low, digits: 16)
    }
    /// A new one from `generator`.
    package init(using generator: inout some RandomNumberGenerator) {
        self.init(high: generator.next(), low: generator.next())
    }
    /// The one that ``description`` printed.
    package init?(hexadecimal text: some StringProtocol) {
        guard text.utf8.count == 32,
            let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.dropFirst(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }
}

/// A cluster, made when it is formed.
public struct ClusterID: RandomIdentifier {
    /// The upper 64 bits.
    public let high: UInt64
    /// The lower 64 bits.
    public let low: UInt64
    /// The cluster with these bits.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    /// Names no cluster: a folder that has not taken part in a formation.
    public static let none = ClusterID(high: 0, low: 0)
}

/// A node's data folder, made with it (Rule I2).
package struct FolderID: RandomIdentifier {
    package let high: UInt64
    package let low: UInt64
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// A client of the session protocol (Rule S3).
package struct ClientID: RandomIdentifier {
    package let high: UInt64
    package let low: UInt64
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}
