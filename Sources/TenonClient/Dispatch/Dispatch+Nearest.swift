internal import TenonCore
internal import TenonWire

/// Reads that may be stale: they go to the nearest replica, and from one that is not new enough to
/// the next (Rule S8).
extension Dispatch {
    /// The link to the nearest replica of the tablet at `place` that this call has not asked yet;
    /// nil when there is none that can be asked.
    ///
    /// Of those that are equally near the leader comes last, for it has more to do, and chance
    /// decides among the others.
    mutating func nearest(at place: Int, for call: Int, at now: Instant) -> Int? {
        var best: (link: Int, rank: (Int, Int, Int, UInt64))?
        for replica in routes.replicas(at: place) {
            guard !pending[call].asked.contains(replica.node), let link = link(of: replica.node),
                links[link].isUsable(at: now)
            else { continue }
            let isLeader = routes.leader(at: place) == replica.node
            let rank = (
                links[link].isSuspected ? 1 : 0, replica.distance, isLeader ? 1 : 0, random.next()
            )
            if best.map({ rank < $0.rank }) ?? true { best = (link, rank) }
        }
        return best?.link
    }

    /// Asks the next replica after one has refused a call that may be stale.
    ///
    /// - Returns: false when all have refused, or asking another is of no use: what comes then is
    ///   for the call's ``Attempts``. After a pause they are asked anew.
    mutating func triesNext(
        _ place: Int, after refusal: Refusal, by link: Int, at now: Instant
    ) -> Bool {
        switch refusal.reason {
        case .notLeader, .unavailable, .overloaded, .staleDescriptor: break
        default: return false
        }
        if let node = links[link].node { pending[place].asked.append(node) }
        if let tablet = tabletPlace(of: pending[place].call.route),
            nearest(at: tablet, for: place, at: now) != nil
        {
            pending[place].attempts.held(refusal.message)
            route(place, at: now)
            return true
        }
        pending[place].asked = []
        return false
    }

    private func tabletPlace(of route: Call.Route) -> Int? {
        switch route {
        case .key(let name, let key):
            routes.keyspace(named: name).flatMap { routes.place(in: $0, holding: key) }
        case .part(let tablet, _), .tablet(let tablet): routes.place(of: tablet)
        case .node, .anywhere: nil
        }
    }
}
