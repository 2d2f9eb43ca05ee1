import Glibc

/// Immutable bytes: a key, a value, or a part of a longer buffer that it shares.
///
/// A slice costs one reference count and no copy, so a frame's bytes travel from the socket into
/// the entry under construction without a second buffer. Whoever keeps a small slice of a large
/// buffer for long calls ``compacted()`` first.
///
/// Order is the order of unsigned bytes, then of length: the order of keys everywhere in Tenon.
public struct Bytes: Sendable {
    package let storage: [UInt8]
    @usableFromInline package let lowerBound: UInt32
    @usableFromInline package let upperBound: UInt32

    /// All bytes of `array`, at most 4 GiB - 1.
    public init(_ array: [UInt8]) {
        precondition(array.count <= UInt32.max, "Bytes of \(array.count) B: over 4 GiB")
        storage = array
        lowerBound = 0
        upperBound = UInt32(truncatingIfNeeded: array.count)
    }

    /// The UTF-8 form of `text`.
    public init(_ text: some StringProtocol) {
        self.init(Array(text.utf8))
    }

    /// No bytes.
    public init() {
        self.init([UInt8]())
    }

    /// The bytes of `storage` in `range`, shared.
    package init(sharing storage: [UInt8], in range: Range<Int>) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= storage.count
                && range.upperBound <= UInt32.max,
            "Bytes \(range) of a buffer of \(storage.count) B")
        self.storage = storage
        lowerBound = UInt32(truncatingIfNeeded: range.lowerBound)
        upperBound = UInt32(truncatingIfNeeded: range.upperBound)
    }

    /// The length in bytes.
    public var count: Int { Int(upperBound) - Int(lowerBound) }

    /// Whether there are none.
    public var isEmpty: Bool { lowerBound == upperBound }

    /// Where these bytes lie in ``storage``.
    package var range: Range<Int> { Int(lowerBound)..<Int(upperBound) }

    /// The byte at `offset` from the start.
    public subscript(offset: Int) -> UInt8 {
        precondition(offset >= 0 && offset < count, "byte \(offset) of \(count)")
        return storage[Int(lowerBound) + offset]
    }

    /// The part at `offsets` from the start, shared.
    public subscript(offsets: Range<Int>) -> Bytes {
        precondition(
            offsets.lowerBound >= 0 && offsets.upperBound <= count, "bytes \(offsets) of \(count)")
        return Bytes(
            sharing: storage,
            in: Int(lowerBound) + offsets.lowerBound..<Int(lowerBound) + offsets.upperBound)
    }

    /// A copy as an array. - Complexity: O(count), or O(1) when these are the whole buffer.
    public var array: [UInt8] {
        count == storage.count ? storage : Array(storage[range])
    }

    /// The same bytes in a buffer of their own, when they are a part of a larger one.
    package func compacted() -> Bytes {
        count == storage.count ? self : Bytes(array)
    }

    /// The text these bytes spell, or nil when they are not UTF-8.
    public var utf8Text: String? {
        String(validating: storage[range], as: UTF8.self)
    }

    /// Calls `body` with the bytes in memory; they must not outlive the call.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let range = self.range
        // The array's own closure rethrows untyped; a span keeps the error's type.
        let span = unsafe storage.span.bytes
        return try unsafe span.withUnsafeBytes { (whole) throws(Failure) -> Result in
            try unsafe body(UnsafeRawBufferPointer(rebasing: whole[range]))
        }
    }

    /// The bytes as a span that lives as long as they do.
    package var span: RawSpan {
        @_lifetime(borrow self)
        borrowing get {
            unsafe storage.span.bytes.extracting(range)
        }
    }

    /// Whether these begin with `prefix`.
    public func starts(with prefix: Bytes) -> Bool {
        count >= prefix.count && self[0..<prefix.count] == prefix
    }

    /// The least bytes above all that begin with these: the end of a prefix's range.
    /// Nil when there are none, that is when all bytes are 0xFF.
    public var prefixSuccessor: Bytes? {
        var end = array
        while let last = end.last {
            if last < UInt8.max {
                end[end.count - 1] = last + 1
                return Bytes(end)
            }
            end.removeLast()
        }
        return nil
    }

    /// The least bytes above these: these and a zero.
    public var successor: Bytes { Bytes(array + [0]) }
}

extension Bytes: Hashable, Comparable {
    /// Whether both hold the same bytes.
    public static func == (left: Bytes, right: Bytes) -> Bool {
        guard left.count == right.count else { return false }
        return unsafe left.withUnsafeBytes { leftBytes in
            unsafe right.withUnsafeBytes { rightBytes in
                guard left.count > 0 else { return true }
                return unsafe memcmp(
                    leftBytes.baseAddress.unsafelyUnwrapped,
                    rightBytes.baseAddress.unsafelyUnwrapped, leftBytes.count) == 0
            }
        }
    }

    /// Whether `left` comes before `right` in key order.
    public static func < (left: Bytes, right: Bytes) -> Bool {
        unsafe left.withUnsafeBytes { leftBytes in
            unsafe right.withUnsafeBytes { rightBytes in
                unsafe compareBytes(leftBytes, rightBytes) < 0
            }
        }
    }

    /// Feeds the bytes to `hasher`.
    public func hash(into hasher: inout Hasher) {
        unsafe withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }
}

extension Bytes: ExpressibleByStringLiteral, ExpressibleByArrayLiteral {
    /// The UTF-8 form of the literal.
    public init(stringLiteral text: String) { self.init(Array(text.utf8)) }
    /// The bytes of the literal.
    public init(arrayLiteral bytes: UInt8...) { self.init(bytes) }
}

extension Bytes: CustomStringConvertible {
    /// The text in quotes, or hexadecimal digits when it is not UTF-8 text.
    ///
    /// For tests and tools: keys and values never go into a log message.
    public var description: String {
        if let text = utf8Text { return "\"\(text)\"" }
        return "0x" + array.map { hexadecimal(UInt64($0), digits: 2) }.joined()
    }
}

/// Key order of two byte strings: negative, zero or positive as `left` is below, equal or above.
package func compareBytes(
    _ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer
) -> Int {
    let shared = min(left.count, right.count)
    if shared > 0 {
        let order = unsafe memcmp(
            left.baseAddress.unsafelyUnwrapped, right.baseAddress.unsafelyUnwrapped, shared)
        if order != 0 { return Int(order) }
    }
    return left.count - right.count
}

/// `value` in lowercase hexadecimal, padded with zeros to `digits`.
package func hexadecimal(_ value: UInt64, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}
