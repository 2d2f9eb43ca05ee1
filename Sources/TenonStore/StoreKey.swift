package import TenonCore

/// Which of a tablet's key spaces a key lives in. Spaces share tables and are ordered by tag.
package enum KeySpaceTag: UInt8, Sendable, Hashable, CaseIterable {
    /// Sessions, floors, digests: what the state machine keeps for itself (Rules S3, F).
    case system = 0
    /// What users put.
    case user = 1
}

/// A key of a tablet's store: its space, and its bytes in that space.
///
/// In the memtable and on disk a key is the space's tag byte followed by the bytes ("prefixed").
/// The pair spares callers the allocation of that form. Order: the space, then the bytes.
package struct StoreKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var space: KeySpaceTag
    package var bytes: Bytes

    package init(_ space: KeySpaceTag, _ bytes: Bytes) {
        self.space = space
        self.bytes = bytes
    }

    /// A key that users put.
    package static func user(_ bytes: Bytes) -> StoreKey { StoreKey(.user, bytes) }
    /// A key of the state machine's own.
    package static func system(_ bytes: Bytes) -> StoreKey { StoreKey(.system, bytes) }

    package static func < (left: StoreKey, right: StoreKey) -> Bool {
        guard left.space == right.space else { return left.space.rawValue < right.space.rawValue }
        return left.bytes < right.bytes
    }

    package var description: String { "\(space)/\(bytes)" }

    /// The longest prefixed key, in bytes.
    static let prefixedBytesMax = 1 + Limits.keyBytesMax
    /// The longest end of a range: a key's successor is one byte longer than the key.
    static let boundBytesMax = prefixedBytesMax + 1

    /// The tag byte and the key's bytes in one array. - Complexity: one allocation and a copy.
    var prefixed: [UInt8] {
        var array: [UInt8] = []
        array.reserveCapacity(1 + bytes.count)
        array.append(space.rawValue)
        unsafe bytes.withUnsafeBytes { unsafe array.append(contentsOf: $0) }
        return array
    }

    /// The key whose prefixed form is `array`. Traps on a tag that names no space: prefixed keys
    /// are checked where they enter (``isPrefixedKey(_:)``).
    init(prefixed array: [UInt8]) {
        guard let tag = array.first, let space = KeySpaceTag(rawValue: tag) else {
            preconditionFailure("a prefixed key of \(array.count) B without a known space tag")
        }
        self.space = space
        bytes = Bytes(sharing: array, in: 1..<array.count)
    }

    /// Whether `array` is the prefixed form of some key or end of a range.
    static func isPrefixedKey(_ array: [UInt8]) -> Bool {
        guard let tag = array.first else { return false }
        return KeySpaceTag(rawValue: tag) != nil && array.count <= boundBytesMax
    }
}

/// Order of two prefixed keys: negative, zero or positive as `left` is below, equal or above.
func compareKeys(_ left: [UInt8], _ right: [UInt8]) -> Int {
    unsafe left.withUnsafeBytes { leftBytes in
        unsafe right.withUnsafeBytes { rightBytes in
            unsafe compareBytes(leftBytes, rightBytes)
        }
    }
}

/// Order of two entries: keys ascending, then versions of a key newest first.
func compareEntries(
    _ leftKey: [UInt8], _ leftVersion: Timestamp, _ rightKey: [UInt8], _ rightVersion: Timestamp
) -> Int {
    let order = compareKeys(leftKey, rightKey)
    if order != 0 { return order }
    if leftVersion == rightVersion { return 0 }
    return leftVersion > rightVersion ? -1 : 1
}
