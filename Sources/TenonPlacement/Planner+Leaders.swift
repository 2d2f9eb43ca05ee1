import TenonCore

/// Who leads: at home where there is one, otherwise evenly.
extension Planner {
    /// Has nodes that may not lead hand over, without regard to balance: an operator waits.
    mutating func freeDrainedLeaders() {
        for place in tablets.indices {
            guard let leader = node(tablets[place].leader), !leader.mayLead,
                let to = bestLeader(for: tablets[place])
            else { continue }
            transfer(place, to: to)
        }
    }

    /// Moves leaderships to the city that should have them, of those that are alive.
    mutating func sendLeadersHome(_ history: inout MoveHistory, now: Instant) {
        if isPlanted(.leadersStayAway) { return }
        var transfers = 0
        for place in tablets.indices where !isTouched[place] {
            guard transfers < Placement.transfersMax else { return }
            let view = view(of: tablets[place])
            guard let from = self.place(of: tablets[place].leader),
                let to = bestLeader(for: tablets[place]), view.rank(of: to) < view.rank(of: from),
                history.take(tablets[place].id, ledHomeBy: nodes[to].id, now: now)
            else { continue }
            transfers += 1
            transfer(place, to: to)
        }
    }

    /// Moves leaderships from nodes that have more to nodes that have fewer.
    mutating func balanceLeaders(_ history: inout MoveHistory, now: Instant) {
        var transfers = 0
        for place in tablets.indices where !isTouched[place] {
            guard transfers < Placement.transfersMax else { return }
            let view = view(of: tablets[place])
            guard let from = self.place(of: tablets[place].leader),
                let to = bestLeader(for: tablets[place]), isAsNear(to, from, view),
                leaderCounts[from] >= leaderCounts[to] + 2,
                history.take(tablets[place].id, leadBy: nodes[to].id, now: now)
            else { continue }
            transfers += 1
            transfer(place, to: to)
        }
    }

    /// Whether leading from `to` is no further from home than from `from`.
    private func isAsNear(_ to: Int, _ from: Int, _ view: PolicyLayout) -> Bool {
        if isPlanted(.leadersStayAway) { return view.rank(of: to) == view.rank(of: from) }
        return view.rank(of: to) <= view.rank(of: from)
    }

    /// The voter nearest to home that may lead, other than the leader; of those that are equally
    /// near the one that leads the fewest.
    private mutating func bestLeader(for tablet: Placement.Tablet) -> Int? {
        let view = view(of: tablet)
        let able = tablet.voters.compactMap { place(of: $0.node) }.filter {
            nodes[$0].mayLead && nodes[$0].isAlive && nodes[$0].id != tablet.leader
        }
        func rank(_ place: Int) -> (Int, Int, Int) {
            (view.rank(of: place), leaderCounts[place], place)
        }
        return able.min { rank($0) < rank($1) }
    }

    private mutating func transfer(_ place: Int, to node: Int) {
        if let from = self.place(of: tablets[place].leader) { leaderCounts[from] -= 1 }
        leaderCounts[node] += 1
        isTouched[place] = true
        tablets[place].leader = nodes[node].id
        steps.append(.transfer(tablets[place].id, to: nodes[node].id))
    }
}
