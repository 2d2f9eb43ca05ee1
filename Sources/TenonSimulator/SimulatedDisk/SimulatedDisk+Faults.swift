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
        tree.forgetHandles()
    }

    /// Ends the machine: of what was not synced, files and directory entries, only what
    /// `survival` says is left.
    package func cutPower(keeping survival: Survival = .random) {
        crashProcess()
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
