internal import TenonCore

/// A fault of a ``SimulatedDisk`` that waits for calls it matches.
package struct DiskFault: Hashable, Sendable {
    /// What goes wrong.
    package enum Kind: Hashable, Sendable {
        /// A sync of a file or folder throws EIO. A file's pages count as clean afterwards,
        /// although not all of them are on the medium.
        case failSync
        /// A write throws EIO and writes nothing.
        case failWrite
        /// A write throws EIO after the first half of its bytes.
        case shortWrite
        /// A read throws EIO.
        case failRead
        /// A read gives one bit turned over; the medium is whole.
        case flipRead
        /// A write lands so many bytes from where it should, and succeeds.
        case misdirect(byBytes: Int)
    }

    package var kind: Kind
    /// Calls on paths that contain this match; the empty text matches all.
    package var pathPart: String
    /// How many matching calls go well first.
    package var skip: Int
    /// How many matching calls go wrong then.
    package var count: Int

    package init(_ kind: Kind, on pathPart: String = "", skip: Int = 0, count: Int = 1) {
        self.kind = kind
        self.pathPart = pathPart
        self.skip = skip
        self.count = count
    }
}

extension SimulatedDisk {
    /// Lets `fault` happen.
    package func inject(_ fault: DiskFault) { faults.append(fault) }

    /// Takes back what has not happened yet.
    package func removeFaults() { faults.removeAll() }

    /// Ends the process: handles and locks die, the page cache stays. What was not synced is read
    /// back all the same, and lost by a later power cut (Rule L3).
    package func crashProcess() {
        life += 1
        isCrashed = false
        operationsUntilCrash = nil
        lockedInodes.removeAll()
        unsyncedSegments.removeAll()
        tree.forgetHandles()
    }

    /// Ends the machine: of what was not synced, files and directory entries, only what
    /// `survival` says is left.
    package func cutPower(keeping survival: Survival = .random) {
        crashProcess()
        // A later write may be gone: then nothing follows this one any more.
        if let lastSyncedWrite { lastSegmentWrite = lastSyncedWrite }
        tree.cutPower(keeping: survival, using: &generator)
    }

    /// Turns one bit of a file over, in cache and on the medium.
    package func flipBit(_ bit: Int, at offset: Int, of path: String) {
        damage(path, at: offset) { $0 ^= 1 << UInt8(bit) }
    }

    /// Puts `bytes` at `offset` of a file, in cache and on the medium, as a rotten disk would.
    package func overwrite(_ bytes: [UInt8], at offset: Int, of path: String) {
        for (step, byte) in bytes.enumerated() { damage(path, at: offset + step) { $0 = byte } }
    }

    /// Turns over one bit, drawn from `seed`, of a file whose path contains `pathPart` and has
    /// content; of a log mostly close before its end, where it is needed.
    ///
    /// What the log wrote last is spared: the loss of the last batch within 10 ms before a crash
    /// cannot be told from a torn tail (Rule L2), so it would be more than a cluster survives.
    ///
    /// - Returns: the path and the place; nil when there is no such file.
    package func rot(_ pathPart: String, seed: UInt64) -> (path: String, offset: Int)? {
        var draws = SeededGenerator(seed: seed)
        var places: [(path: String, range: Range<Int>)] = []
        let isNearEnd = draws.below(4) != 0
        for (path, inode) in tree.allFiles() where path.contains(pathPart) {
            let size = tree.inodes[inode].file.cached.count
            guard let last = lastSegmentWrite, path.contains("/log/") else {
                if size > 0 { places.append((path, 0..<size)) }
                continue
            }
            if isNearEnd, path != last.path { continue }
            let end = path == last.path ? min(size, last.offset) : size
            let start = isNearEnd ? max(0, end - (16 << 10)) : 0
            if start < end { places.append((path, start..<end)) }
        }
        guard !places.isEmpty else { return nil }
        let (path, range) = places[Int(draws.below(UInt64(places.count)))]
        let offset = range.lowerBound + Int(draws.below(UInt64(range.count)))
        flipBit(Int(draws.below(8)), at: offset, of: path)
        return (path, offset)
    }

    /// Turns over one bit in the header of one of the last batches of the log segment that is
    /// written to. The very last one is spared, as ``rot(_:seed:)`` says.
    package func rotBatchHeader(seed: UInt64) -> (path: String, offset: Int)? {
        guard let last = lastSegmentWrite, let content = contents(of: last.path) else { return nil }
        let magic = Array("TENONBAT".utf8)
        let blockBytes = 4_096
        let batches = stride(from: blockBytes, to: min(last.offset, content.count), by: blockBytes)
            .filter { content[$0...].starts(with: magic) }.suffix(4)
        var draws = SeededGenerator(seed: seed)
        guard !batches.isEmpty else { return nil }
        let batch = Array(batches)[Int(draws.below(UInt64(batches.count)))]
        let offset = batch + Int(draws.below(100))
        flipBit(Int(draws.below(8)), at: offset, of: last.path)
        return (last.path, offset)
    }

    /// What the cache shows of the file `path`; nil when there is none.
    package func contents(of path: String) -> [UInt8]? {
        tree.find(path).map { tree.inodes[$0].file.cached }
    }

    private func damage(_ path: String, at offset: Int, _ change: (inout UInt8) -> Void) {
        guard let inode = tree.find(path) else { preconditionFailure("no file \(path)") }
        tree.withFile(inode) { $0.damage(at: offset, change) }
    }

    /// Bytes by which files may still grow.
    var freeCapacity: Int { capacityBytes.map { max(0, $0 - usedBytes) } ?? .max }

    /// Whether a fault of `kind` strikes this call on `path`; it is used up by that.
    func takeFault(_ kind: DiskFault.Kind, _ path: String) -> Bool {
        takeFault(on: path) { $0 == kind } != nil
    }

    /// How far from its place a write to `path` lands.
    func takeMisdirection(_ path: String) -> Int {
        let fault = takeFault(on: path) { kind in
            if case .misdirect = kind { true } else { false }
        }
        if case .misdirect(let byBytes) = fault { return byBytes }
        return 0
    }

    private func takeFault(
        on path: String, where matches: (DiskFault.Kind) -> Bool
    ) -> DiskFault.Kind? {
        guard
            let place = faults.firstIndex(where: {
                matches($0.kind) && ($0.pathPart.isEmpty || path.contains($0.pathPart))
            })
        else { return nil }
        if faults[place].skip > 0 {
            faults[place].skip -= 1
            return nil
        }
        let kind = faults[place].kind
        faults[place].count -= 1
        if faults[place].count <= 0 { faults.remove(at: place) }
        return kind
    }

    /// Calls `body` with a file's content and the generator, neither of them shared meanwhile.
    func withFileAndGenerator(
        _ inode: Int, _ body: (inout FileContent, inout SeededGenerator) -> Void
    ) {
        var generator = self.generator
        tree.withFile(inode) { body(&$0, &generator) }
        self.generator = generator
    }
}
