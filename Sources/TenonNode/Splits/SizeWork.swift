import TenonCore
import TenonKV
import TenonPlacement
import TenonStore
import TenonWire

/// Tablets that have grown: their leaders measure them and wish, the directory decides.
///
/// The leader has the store, and the directory has the policy, the numbers (Rule I3) and the sight of
/// all splits that are under way. A wish is not an order: whatever stands against it, it is said
/// again with the next round as long as the tablet is too large.
struct SizeWork {
    /// Between two looks at the sizes of the tablets led from here.
    static let interval = TimeSpan.seconds(5)

    var nextRound = Instant.zero
}

extension Node {
    /// Tells the directory of tablets led from here that are larger than their keyspace wants.
    func lookAfterSizes(now: Instant) {
        guard now >= sizeWork.nextRound, cluster.leader != NodeID(0) else { return }
        sizeWork.nextRound = now + SizeWork.interval
        for tablet in tablets.all where tablet.splitAboveBytes > 0 && tablet.servesAsLeader {
            let size = tablet.splitWish()
            if size.isFlushDue {
                tablet.isFlushWanted = true
                tablets.touch(tablet)
                wantsTurn = true
            }
            if let wish = size.wish { tell(.wantSplit(wish), to: cluster.leader) }
        }
    }
}

extension Tablet {
    /// Where this tablet could be cut, when it is too large. What is in memory only cannot be
    /// measured by key: when much of the bound is there, a flush is to come first.
    ///
    /// - Complexity: O(tables) as long as it is small enough.
    func splitWish() -> (wish: SplitWish?, isFlushDue: Bool) {
        guard problem == nil, split.proposed == nil, split.hold == nil else { return (nil, false) }
        let onDisk = UInt64(store.status.diskBytes)
        let inMemory = UInt64(store.memtableBytes)
        guard onDisk + inMemory > splitAboveBytes else { return (nil, false) }
        let isFlushDue = inMemory > splitAboveBytes / 2
        let bounds = machine.bounds
        // The files may hold much of a half that went its own way, until compaction comes to it.
        guard store.bytesOnDisk(from: bounds.lower, upTo: bounds.upper) > Int(splitAboveBytes),
            let middle = store.middleKey(from: bounds.lower, upTo: bounds.upper)
        else { return (nil, isFlushDue) }
        let wish = SplitWish(
            tablet: id, generation: generation, at: middle.key,
            bytesBelow: UInt64(middle.bytesBelow), bytesFrom: UInt64(middle.bytesFrom))
        return (wish, isFlushDue)
    }
}

extension DirectoryController {
    /// A tablet's leader says that it is too large.
    mutating func take(_ wish: SplitWish) {
        wishes[wish.tablet] = wish
        hasNews = true
    }

    /// Intents for tablets that have grown too large, of those that may be split now. What was wished
    /// is forgotten: it comes again as long as it is so.
    mutating func sizeSplitChange(now: Instant) -> DirectoryChange {
        var change = DirectoryChange(state)
        let due = wishes.values.sorted { $0.tablet < $1.tablet }
        wishes = [:]
        guard var numbers = state.numbers else { return change }
        let first = numbers
        var underWay = state.splits.count
        for wish in due where !change.isFull {
            guard underWay < SizeSplits.underWayMax, let tablet = splittable(wish),
                state.directory.tablets.count + underWay < Directory.tabletsMax,
                sizeSplits.take(tablet.id, now: now)
            else { continue }
            reached(.splitBySize)
            underWay += 1
            state.planSplit(of: tablet, at: wish.at, half: numbers.tablet, &change)
            numbers.tablet = numbers.tablet.next
        }
        if numbers != first { change.put(numbers) }
        return change
    }

    /// The tablet of a wish when it is as it was measured, nothing of it is changing, and it is worth
    /// a split.
    private func splittable(_ wish: SplitWish) -> TabletDescriptor? {
        guard let tablet = state.tablet(wish.tablet), tablet.id != .directory,
            tablet.generation == wish.generation, tablet.isSettled, !tablet.voters.isEmpty,
            !state.isBeingSplit(tablet.id), wish.at > tablet.lower,
            tablet.upper.map({ wish.at < $0 }) ?? true,
            let keyspace = state.directory.keyspace(tablet.keyspace), !keyspace.isDropped,
            SizeSplits.isWorthIt(wish, above: keyspace.splitAboveBytes)
        else { return nil }
        return tablet
    }
}
