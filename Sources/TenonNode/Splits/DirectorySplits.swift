import TenonCore
import TenonPlacement
import TenonWire

/// Splits, as the directory carries them out.
///
/// An order becomes an intent: a record with the numbers of the half and its replicas, which no
/// tablet and no replica ever had. The tablet's leader is told until it reports the new bounds; then
/// one transaction writes both tablets down, so that routing has no hole. The intent goes when the
/// half has reported a leader: until then neither tablet's members change, and a split of either
/// waits.
extension DirectoryState {
    /// The intent of a split, written down before anybody is told.
    func split(
        _ id: TabletID, at key: Bytes, _ numbers: DirectoryNumbers,
        _ change: inout DirectoryChange
    ) throws(Refusal) {
        guard let tablet = tablet(id), tablet.id != .directory else {
            throw invalid(
                id == .directory
                    ? "the directory, tablet 1, cannot be split" : "there is no tablet \(id)")
        }
        guard let keyspace = directory.keyspace(tablet.keyspace), !keyspace.isDropped else {
            throw invalid("the keyspace of tablet \(id) is dropped")
        }
        guard key > tablet.lower, tablet.upper.map({ key < $0 }) ?? true else {
            throw invalid(outside(tablet, key))
        }
        guard !isBeingSplit(id) else { throw beingSplit(id) }
        guard tablet.isSettled, !tablet.voters.isEmpty else {
            throw Refusal(
                .unavailable, "the members of tablet \(id) are changing: try again later",
                retryAfterMilliseconds: 500)
        }
        guard directory.tablets.count < Directory.tabletsMax else {
            throw invalid("the cluster has \(Directory.tabletsMax) tablets, the most there may be")
        }
        planSplit(of: tablet, at: key, half: numbers.tablet, &change)
        var next = numbers
        next.tablet = numbers.tablet.next
        change.put(next)
    }

    func beingSplit(_ id: TabletID) -> Refusal {
        Refusal(
            .unavailable, "tablet \(id) is being split: try again later",
            retryAfterMilliseconds: 500)
    }

    /// Keys do not go into messages (they may be anybody's data), but the operator's own does.
    private func outside(_ tablet: TabletDescriptor, _ key: Bytes) -> String {
        let isBorder = key == tablet.lower || key == tablet.upper
        return isBorder
            ? "tablet \(tablet.id) begins or ends at this key already: give one inside"
            : "the key is not one of tablet \(tablet.id): see `tenon tablet list`"
    }

    /// An intent by the members that the tablet has.
    func planSplit(
        of tablet: TabletDescriptor, at key: Bytes, half: TabletID,
        _ change: inout DirectoryChange
    ) {
        let places = tablet.voters.indices.sorted {
            tablet.voters[$0].node < tablet.voters[$1].node
        }
        let members = places.enumerated().map { number, place in
            Member(
                replica: ReplicaID(UInt64(number) + 1), node: tablet.voters[place].node,
                isWitness: tablet.voters[place].isWitness)
        }
        let known = tablet.acknowledgement
        let acknowledgement =
            known.rule == .majority
            ? known : Acknowledgement(known.rule, sites: places.map { known.sites[$0] })
        change.put(
            TabletSplit(
                tablet: tablet.id, generation: tablet.generation,
                configuration: tablet.configuration, at: key, half: half, members: members,
                acknowledgement: acknowledgement))
    }
}

extension DirectoryController {
    /// The half of a split whose tablet has reported its new bounds, as it begins.
    func half(of split: TabletSplit, _ tablet: TabletDescriptor) -> TabletDescriptor {
        TabletDescriptor(
            id: split.half, keyspace: tablet.keyspace, generation: split.newGeneration,
            lower: split.at, upper: tablet.upper, configuration: .first,
            voters: split.members.inOrder, acknowledgement: split.acknowledgement,
            nextReplica: (split.members.map(\.replica).max() ?? .none).next)
    }

    /// Whether a report says that the split is done.
    func isDone(_ split: TabletSplit, by report: TabletDescriptor) -> Bool {
        report.generation == split.newGeneration && report.upper == split.at
    }

    /// Intents that are over, and those whose members are not what they were planned for: these
    /// never had an effect, and are planned anew under another number.
    func splitChange() -> DirectoryChange {
        var change = DirectoryChange(state)
        guard var numbers = state.numbers else { return change }
        let first = numbers
        for split in state.splits where !change.isFull {
            guard let tablet = state.tablet(split.tablet) else {
                change.delete(.split(split.tablet))
                continue
            }
            if state.tablet(split.half) != nil {
                if let report = reports[split.half], report.leader != NodeID(0) {
                    change.delete(.split(split.tablet))
                }
            } else if tablet.generation == split.generation, tablet.isSettled,
                tablet.configuration != split.configuration
            {
                reached(.splitPlannedAnew)
                state.planSplit(of: tablet, at: split.at, half: numbers.tablet, &change)
                numbers.tablet = numbers.tablet.next
            }
        }
        if numbers != first { change.put(numbers) }
        return change
    }

    /// Intents for tablets that lie across the border of a home: since their keyspace was altered,
    /// or a split of before was in the way. - Complexity: O(borders · log tablets).
    func homeSplitChange() -> DirectoryChange {
        var change = DirectoryChange(state)
        guard var numbers = state.numbers else { return change }
        let first = numbers
        let directory = state.directory
        // Halves that are on their way count as there.
        let tabletsToBe =
            directory.tablets.count + state.splits.count { state.tablet($0.half) == nil }
        var touched: Set<TabletID> = []
        for keyspace in directory.keyspaces where !keyspace.isDropped {
            for border in keyspace.policy.borders where !change.isFull {
                guard let tablet = directory.tablet(of: keyspace.id, holding: border),
                    tablet.lower < border, tablet.isSettled, !tablet.voters.isEmpty,
                    !state.isBeingSplit(tablet.id), touched.insert(tablet.id).inserted,
                    tabletsToBe + touched.count <= Directory.tabletsMax
                else { continue }
                state.planSplit(of: tablet, at: border, half: numbers.tablet, &change)
                numbers.tablet = numbers.tablet.next
            }
        }
        if numbers != first { change.put(numbers) }
        return change
    }

    /// The orders that leaders of tablets are to hear, again and again, and where these may be: a
    /// report that was lost comes again at once, not only when all are due.
    var splitOrders: [(order: TabletSplit, nodes: [NodeID])] {
        state.splits.compactMap { split in
            let waitsForHalf = state.tablet(split.half) != nil
            let id = waitsForHalf ? split.half : split.tablet
            if let leader = reports[id]?.leader, leader != NodeID(0) { return (split, [leader]) }
            return state.tablet(id).map { (split, $0.voters.map(\.node)) }
        }
    }

    /// Whether a tablet's members stay as they are, because a split of it is under way. Those that
    /// are changing all the same come to an end first.
    func isHeld(_ tablet: TabletDescriptor) -> Bool {
        tablet.isSettled && state.isBeingSplit(tablet.id)
    }
}
