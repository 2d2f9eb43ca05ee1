internal import Glibc
internal import TenonCore

/// Bytes that are appended and never moved within their order, found again by 32-bit offsets.
///
/// The one audited file of the memtable that holds raw memory. It grows by `realloc`, which for
/// blocks of this size remaps pages instead of copying them; offsets stay valid, pointers do not.
/// - Invariant: every access lies inside the first `count` bytes, checked on each call.
@safe struct Arena: ~Copyable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    /// How many bytes are in use.
    private(set) var count = 0

    init(capacity: Int) {
        precondition(capacity > 0, "an arena of \(capacity) B")
        self.capacity = capacity
        unsafe base = Arena.reallocated(nil, to: capacity)
    }

    deinit { unsafe free(base) }

    private static func reallocated(
        _ old: UnsafeMutableRawPointer?, to capacity: Int
    ) -> UnsafeMutableRawPointer {
        guard let memory = unsafe realloc(old, capacity) else {
            preconditionFailure("no memory for an arena of \(capacity) B")
        }
        return unsafe memory
    }

    /// Makes room for `size` more bytes, zeroed, and returns where they begin.
    /// - Complexity: O(size) amortised.
    mutating func allocate(_ size: Int) -> Int {
        let offset = count
        let end = offset + size
        precondition(size >= 0 && end <= Int(UInt32.max), "an arena of \(end) B: over 4 GiB")
        if end > capacity {
            capacity = max(end, capacity * 2)
            unsafe base = Arena.reallocated(base, to: capacity)
        }
        unsafe memset(base + offset, 0, size)
        count = end
        return offset
    }

    /// Copies `bytes` to `offset`, inside what was allocated before.
    mutating func write(_ bytes: Bytes, at offset: Int) {
        check(offset, bytes.count)
        let target = unsafe base + offset
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            unsafe target.copyMemory(from: start, byteCount: source.count)
        }
    }

    mutating func write(byte: UInt8, at offset: Int) {
        check(offset, 1)
        unsafe base.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
    }

    mutating func write(uint32 value: UInt32, at offset: Int) {
        check(offset, 4)
        unsafe base.storeBytes(of: value, toByteOffset: offset, as: UInt32.self)
    }

    mutating func write(uint64 value: UInt64, at offset: Int) {
        check(offset, 8)
        unsafe base.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
    }

    func uint32(at offset: Int) -> UInt32 {
        check(offset, 4)
        return unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    }

    func uint64(at offset: Int) -> UInt64 {
        check(offset, 8)
        return unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    /// Moves `size` bytes inside what was allocated; the two places may overlap.
    mutating func move(_ size: Int, from source: Int, to target: Int) {
        check(source, size)
        check(target, size)
        unsafe memmove(base + target, base + source, size)
    }

    /// How many of the eight times eight numbers at `offset`, which ascend, are below `bound`.
    ///
    /// Eight groups by their last numbers, then one group, without a branch: what binary search
    /// would fetch one after the other comes from memory all at once.
    func countBelow(_ bound: UInt64, at offset: Int) -> Int {
        check(offset, 512)
        var groups = 0
        for group in 0..<8 {
            let last = unsafe base.loadUnaligned(
                fromByteOffset: offset + 64 * group + 56, as: UInt64.self)
            groups &+= last < bound ? 1 : 0
        }
        guard groups < 8 else { return 64 }
        var count = 8 * groups
        let start = offset + 64 * groups
        for place in 0..<7 {
            let number = unsafe base.loadUnaligned(
                fromByteOffset: start + 8 * place, as: UInt64.self)
            count &+= number < bound ? 1 : 0
        }
        return count
    }

    /// The bytes of `range`, valid until the next `allocate`.
    func pointer(to range: Range<Int>) -> UnsafeRawBufferPointer {
        check(range.lowerBound, range.count)
        return unsafe UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
    }

    /// A copy of the bytes of `range`.
    func copy(of range: Range<Int>) -> [UInt8] {
        unsafe [UInt8](pointer(to: range))
    }

    @inline(__always)
    private func check(_ offset: Int, _ size: Int) {
        precondition(
            offset >= 0 && size >= 0 && offset <= count - size,
            "\(size) B at \(offset) of an arena of \(count) B")
    }
}
