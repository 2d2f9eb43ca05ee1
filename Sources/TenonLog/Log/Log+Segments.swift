internal import TenonCore

/// What a batch is for, which decides how much of the reserve it may use.
enum WritePurpose: Sendable {
    /// Entries: what grows the log.
    case entries
    /// Trims, hard states, metadata, seals: small, and what frees the log.
    case states
    /// What is copied forward; it frees a segment for the one it takes.
    case forwarding
    /// The last batch written anew when the log opens.
    case opening

    /// How many segments in hand it must leave to the others.
    var segmentsLeft: Int {
        switch self {
        case .entries: 2
        case .states: 1
        case .forwarding, .opening: 0
        }
    }
}

extension Log {
    /// Segments that may still be started: free files, and those that the reserve allows.
    var segmentsInHand: Int {
        free.count + max(0, configuration.segmentsReserved - free.count - used.count)
    }

    /// Makes sure that a batch of `bytes` fits into the active segment; starts another one, and
    /// copies forward to recycle one for that, when it does not.
    ///
    /// - Throws: ``LogError/full`` with nothing changed but what was copied.
    func makeRoom(
        for purpose: WritePurpose, bytes: (LogWriter) -> Int
    ) throws(LogError) {
        var attemptsLeft = used.count
        while writer.room < bytes(writer) {
            releaseSegments()
            if segmentsInHand > purpose.segmentsLeft, try startSegmentIfSpace() { continue }
            guard purpose != .forwarding, attemptsLeft > 0, used.count > 1 else { throw .full }
            attemptsLeft -= 1
            try forwardOldestSegment()
        }
    }

    /// Starts a segment; false when the disk has no space for a new one.
    private func startSegmentIfSpace() throws(LogError) -> Bool {
        do throws(LogError) {
            try startSegment()
            return true
        } catch {
            guard error == .full else { throw error }
            return false
        }
    }

    /// Goes on in a fresh segment. Its header is durable when this returns (Rule L1).
    ///
    /// - Parameter isAfterLoss: see ``SegmentHeader/isAfterLoss``.
    func startSegment(isAfterLoss: Bool = false) throws(LogError) {
        let file = try takeFreeSegment()
        let use = writer.use.next
        let previousUse = isAfterLoss ? use : used.last?.use ?? .none
        used.append(Segment(file: file, use: use, firstBatch: writer.nextBatch))
        let planned = writer.startSegment(
            use: use, previousUse: previousUse, oldestUse: used[0].use)
        try performWrite(planned)
        try removeExcessFiles()
    }

    /// A file whose first step is zeroed: one that was used before when there is one.
    private func takeFreeSegment() throws(LogError) -> SegmentFile {
        if free.isEmpty { try addSegment() }
        let best = free.indices.max { free[$0].zeroedBytes < free[$1].zeroedBytes } ?? 0
        try zero(&free[best], upTo: Block.bytes)
        return free.remove(at: best)
    }

    /// Adds an empty file to the free ones.
    private func addSegment() throws(LogError) {
        let names = Set(used.map(\.file.name) + free.map(\.name))
        let segment = try performGrowing { () throws(FileError) in
            try folder.createSegment(besides: names)
        }
        free.append(segment)
    }

    /// Recycles every oldest segment of which nothing is needed any more.
    ///
    /// - Parameter bound: the first batch that must stay in any case.
    func releaseSegments(before bound: BatchNumber? = nil) {
        guard used.count > 1 else { return }
        let bound = bound ?? writer.nextBatch
        let least = min(bound, index.leastLiveBatch() ?? bound)
        while used.count > 1, used[0].endBatch <= least {
            free.append(used.removeFirst().file)
        }
    }

    /// Removes free files beyond the reserve, which recoveries took when nothing was free. Only
    /// after a segment was started: until its header is durable, the one before it may name one
    /// of these as the oldest that is needed.
    private func removeExcessFiles() throws(LogError) {
        while used.count + free.count > configuration.segmentsReserved, let file = free.popLast() {
            try perform { () throws(FileError) in try folder.removeSegment(file.name) }
        }
    }

    /// Writes zeros to the active segment as far as `end`, where that was not done before.
    func zeroActive(upTo end: Int) throws(LogError) {
        try zero(&used[used.count - 1].file, upTo: end)
    }

    /// Reserves space that was never written, one step of zeros at a time, until the reserve is
    /// complete; a caller with nothing else to do calls it so long as it returns true. What is
    /// not prepared here is prepared by the append that needs it.
    ///
    /// - Returns: whether there is more to prepare.
    /// - Throws: ``LogError/full`` when the disk has no space; nothing is lost by that.
    package func prepareAhead() throws(LogError) -> Bool {
        try requireWorking()
        let isUnprepared = { (file: SegmentFile) in
            file.zeroedBytes < self.configuration.segmentBytes
        }
        let active = used.count - 1
        if isUnprepared(used[active].file) {
            try zeroActive(upTo: used[active].file.zeroedBytes + 1)
        } else if let place = free.firstIndex(where: isUnprepared) {
            try zero(&free[place], upTo: free[place].zeroedBytes + 1)
        } else if used.count + free.count < configuration.segmentsReserved {
            try addSegment()
        }
        return isUnprepared(used[active].file) || free.contains(where: isUnprepared)
            || used.count + free.count < configuration.segmentsReserved
    }

    private func zero(_ segment: inout SegmentFile, upTo end: Int) throws(LogError) {
        while segment.zeroedBytes < min(end, configuration.segmentBytes) {
            let start = segment.zeroedBytes
            let count = min(configuration.zeroingStepBytes, configuration.segmentBytes - start)
            let file = segment.file
            try performGrowing { () throws(FileError) in
                try file.write([UInt8](repeating: 0, count: count), at: start)
                try file.sync()
            }
            segment.zeroedBytes = start + count
            bytesWritten += count
            syncs += 1
        }
    }
}
