internal import TenonCore

/// One file: what the page cache shows and what the medium holds.
struct FileContent {
    /// What reads return.
    private(set) var cached: [UInt8] = []
    /// What a power cut leaves.
    private(set) var durable: [UInt8] = []
    /// Bytes written since the last sync, as ranges, oldest first: the dirty pages.
    private var unsynced: [Range<Int>] = []
    /// The least size since the last sync, when a truncation is not yet durable.
    private var truncatedTo: Int?

    /// The unit that the medium writes whole, more often than not.
    static let sectorBytes = 512

    /// Writes into the cache, with zeros between the old end and `offset`.
    mutating func write(_ bytes: ArraySlice<UInt8>, at offset: Int) {
        guard !bytes.isEmpty else { return }
        let end = offset + bytes.count
        FileContent.extend(&cached, to: end)
        unsafe bytes.withUnsafeBytes { unsafe FileContent.copy($0, into: &cached, at: offset) }
        unsynced.append(offset..<end)
    }

    /// Cuts or extends the cached file.
    mutating func truncate(to size: Int) {
        if size < cached.count {
            cached.removeSubrange(size...)
            truncatedTo = min(truncatedTo ?? size, size)
        } else {
            FileContent.extend(&cached, to: size)
            unsynced.append(size..<size)
        }
    }

    /// Carries the cache to the medium.
    mutating func sync() {
        if let size = truncatedTo, size < durable.count { durable.removeSubrange(size...) }
        for range in unsynced { persist(range) }
        FileContent.extend(&durable, to: cached.count)
        markClean()
    }

    /// What a failed sync leaves: the pages count as clean, and stay in the cache, although some
    /// never reached the medium. A later sync that succeeds does not write them.
    ///
    /// Source: Rebello et al., "Can applications recover from fsync failures?", 2020.
    mutating func failSync(using generator: inout SeededGenerator) {
        keepPart(using: &generator)
        markClean()
    }

    /// Loses the cache.
    mutating func cutPower(keeping survival: Survival, using generator: inout SeededGenerator) {
        switch survival {
        case .nothing: break
        case .everything: sync()
        case .random: keepPart(using: &generator)
        }
        markClean()
        cached = durable
    }

    /// Changes bytes where they lie, in cache and on the medium, as rot does.
    mutating func damage(at offset: Int, _ change: (inout UInt8) -> Void) {
        if offset < cached.count { change(&cached[offset]) }
        if offset < durable.count { change(&durable[offset]) }
    }

    /// What a sync that a crash interrupts leaves: a part on the medium, all of it in the cache,
    /// and nothing that counts as clean.
    mutating func persistPart(using generator: inout SeededGenerator) {
        keepPart(using: &generator)
    }

    private mutating func markClean() {
        unsynced.removeAll()
        truncatedTo = nil
    }

    /// Some of the unsynced bytes reach the medium: the first ones of them up to any byte, or any
    /// sectors in any order.
    private mutating func keepPart(using generator: inout SeededGenerator) {
        if let size = truncatedTo, size < durable.count, generator.below(2) == 0 {
            durable.removeSubrange(size...)
        }
        if generator.below(2) == 0 {
            keepPrefix(using: &generator)
        } else {
            keepSectors(using: &generator)
        }
        // The new length may be on the medium although the bytes are not: zeros are read there.
        if generator.below(2) == 0 { FileContent.extend(&durable, to: cached.count) }
    }

    private mutating func keepPrefix(using generator: inout SeededGenerator) {
        let total = unsynced.reduce(0) { $0 + $1.count }
        var left = Int(generator.below(UInt64(total + 1)))
        for range in unsynced {
            let kept = min(left, range.count)
            persist(range.lowerBound..<range.lowerBound + kept)
            left -= kept
        }
    }

    private mutating func keepSectors(using generator: inout SeededGenerator) {
        for range in unsynced {
            var start = range.lowerBound
            while start < range.upperBound {
                let sectorEnd = (start / FileContent.sectorBytes + 1) * FileContent.sectorBytes
                let end = min(range.upperBound, sectorEnd)
                switch generator.below(8) {
                case 0..<4: persist(start..<end)
                case 4: persist(start..<start + Int(generator.below(UInt64(end - start))))
                default: break
                }
                start = end
            }
        }
    }

    /// Copies `range`, as far as the cache has it, to the medium.
    private mutating func persist(_ range: Range<Int>) {
        let end = min(range.upperBound, cached.count)
        guard range.lowerBound < end else { return }
        FileContent.extend(&durable, to: end)
        unsafe cached.withUnsafeBytes { source in
            let part = unsafe UnsafeRawBufferPointer(rebasing: source[range.lowerBound..<end])
            unsafe FileContent.copy(part, into: &durable, at: range.lowerBound)
        }
    }

    /// One memory copy: sweeps of crash points spend their time here.
    private static func copy(
        _ source: UnsafeRawBufferPointer, into target: inout [UInt8], at offset: Int
    ) {
        precondition(
            offset + source.count <= target.count,
            "\(source.count) B at \(offset) of \(target.count) B")
        unsafe target.withUnsafeMutableBytes {
            unsafe UnsafeMutableRawBufferPointer(rebasing: $0[offset...]).copyMemory(from: source)
        }
    }

    private static func extend(_ bytes: inout [UInt8], to size: Int) {
        guard bytes.count < size else { return }
        bytes += [UInt8](repeating: 0, count: size - bytes.count)
    }
}

/// What a power cut leaves of what was not synced.
package enum Survival: Sendable, Hashable {
    /// None of it.
    case nothing
    /// All of it.
    case everything
    /// Any part of it, by seed: a prefix torn at any byte, or any sectors, whole or torn; any
    /// subset of the directory changes.
    case random
}
