internal import TenonCore

/// Decides, entry by entry in order, what a merge keeps (Rule S4).
///
/// No read is below the floor. So of a key all versions above the floor stay, and of the others
/// only the newest one: the one that a read at the floor sees. That one goes too when a range
/// tombstone at or below the floor hides it, or when it is a tombstone itself and no older
/// version lies deeper.
struct HistoryFilter {
    private let floor: Timestamp
    private let tombstones: RangeTombstones
    private var key: [UInt8] = []
    private var lastVersion: Timestamp?
    private var isBelowFloor = false

    /// - Parameter tombstones: the range tombstones of all inputs.
    init(floor: Timestamp, tombstones: RangeTombstones) {
        self.floor = floor
        self.tombstones = tombstones
    }

    /// Whether the entry belongs to another key than the one before.
    func isNewKey(_ key: [UInt8]) -> Bool { lastVersion == nil || key != self.key }

    /// Whether the next entry is kept. Of equal keys and versions the first, which is the newest
    /// write, counts. `isLast` says whether nothing of the key lies deeper.
    mutating func keeps(
        _ key: [UInt8], _ version: Timestamp, isTombstone: Bool, isLast: () -> Bool
    ) -> Bool {
        if isNewKey(key) {
            self.key.removeAll(keepingCapacity: true)
            self.key.append(contentsOf: key)
            isBelowFloor = false
        } else if version == lastVersion {
            return false
        }
        lastVersion = version
        if version > floor { return true }
        if isBelowFloor { return false }
        isBelowFloor = true
        if tombstones.hides(key, version, at: floor) { return false }
        return !(isTombstone && isLast())
    }
}
