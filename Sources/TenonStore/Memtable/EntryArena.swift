internal import TenonCore

/// The entries of a memtable, in the order of writing; none is ever moved, changed or removed.
///
/// An entry, at its offset in the arena, which is never 0 (host byte order: nothing of it leaves
/// the process):
///
/// ```
///  0  8  version
///  8  4  key bytes
/// 12  4  value bytes (bits 0-30), tombstone (bit 31)
/// 16  …  key, prefixed with its space's tag
///     …  value
/// ```
struct EntryArena: ~Copyable {
    private static let keyCountOffset = 8
    private static let valueOffset = 12
    private static let keyOffset = 16

    private var arena: Arena

    init() {
        arena = Arena(capacity: 64 << 10)
        // So that 0 can mean that there is no entry.
        _ = arena.allocate(EntryArena.keyOffset)
    }

    /// Memory in use.
    var bytes: Int { arena.count }

    /// Writes an entry, or with nil a tombstone, and returns its offset.
    mutating func append(_ key: StoreKey, _ value: Bytes?, at version: Timestamp) -> Int {
        let keyCount = 1 + key.bytes.count
        let valueCount = value?.count ?? 0
        let entry = arena.allocate(EntryArena.keyOffset + keyCount + valueCount)
        arena.write(uint64: version.rawValue, at: entry)
        arena.write(uint32: UInt32(keyCount), at: entry + EntryArena.keyCountOffset)
        arena.write(
            uint32: UInt32(valueCount) | (value == nil ? 1 << 31 : 0),
            at: entry + EntryArena.valueOffset)
        arena.write(byte: key.space.rawValue, at: entry + EntryArena.keyOffset)
        arena.write(key.bytes, at: entry + EntryArena.keyOffset + 1)
        if let value { arena.write(value, at: entry + EntryArena.keyOffset + keyCount) }
        return entry
    }

    // MARK: Reading

    func version(of entry: Int) -> Timestamp { Timestamp(arena.uint64(at: entry)) }

    func isTombstone(_ entry: Int) -> Bool {
        arena.uint32(at: entry + EntryArena.valueOffset) >> 31 == 1
    }

    func valueCount(of entry: Int) -> Int {
        Int(arena.uint32(at: entry + EntryArena.valueOffset) & 0x7FFF_FFFF)
    }

    /// A copy of the entry's value.
    func value(of entry: Int) -> Bytes {
        let start = keyRange(of: entry).upperBound
        return Bytes(arena.copy(of: start..<start + valueCount(of: entry)))
    }

    /// The entry's prefixed key, valid until the next ``append(_:_:at:)``.
    func key(of entry: Int) -> UnsafeRawBufferPointer {
        unsafe arena.pointer(to: keyRange(of: entry))
    }

    private func keyRange(of entry: Int) -> Range<Int> {
        let start = entry + EntryArena.keyOffset
        return start..<start + Int(arena.uint32(at: entry + EntryArena.keyCountOffset))
    }

    // MARK: Order

    /// The entry as what is looked for: valid until the next ``append(_:_:at:)``.
    func probe(_ entry: Int) -> EntryProbe {
        unsafe EntryProbe(key(of: entry), version(of: entry))
    }

    /// Whether the entry comes before `probe`, whose first `skip` bytes are known to be equal.
    func isBefore(_ entry: Int, _ probe: EntryProbe, skip: Int) -> Bool {
        let order = unsafe compareBytes(
            UnsafeRawBufferPointer(rebasing: key(of: entry)[skip...]),
            UnsafeRawBufferPointer(rebasing: probe.key[skip...]))
        return order < 0 || (order == 0 && version(of: entry) > probe.version)
    }

    /// How many bytes two entries' keys have in common at their beginning.
    func sharedCount(_ one: Int, _ other: Int) -> Int {
        let (left, right) = unsafe (key(of: one), key(of: other))
        let limit = min(left.count, right.count)
        var shared = 0
        while shared < limit, unsafe left[shared] == right[shared] { shared += 1 }
        return shared
    }
}

/// A prefixed key and a version that are looked for; lives as long as the call that looks.
@safe struct EntryProbe {
    let key: UnsafeRawBufferPointer
    let version: Timestamp

    init(_ key: UnsafeRawBufferPointer, _ version: Timestamp) {
        unsafe self.key = key
        self.version = version
    }

    /// Eight bytes of the key, from byte `skip` on, as a number that orders as they do; zeros
    /// where the key is shorter.
    func head(skip: Int) -> UInt64 {
        if unsafe skip + 8 <= key.count {
            return unsafe UInt64(
                bigEndian: key.loadUnaligned(fromByteOffset: skip, as: UInt64.self))
        }
        var head: UInt64 = 0
        for place in skip..<skip + 8 {
            head = head << 8 | (unsafe place < key.count ? UInt64(key[place]) : 0)
        }
        return head
    }
}
