import TenonCore

/// Leaderships that left a lost home and came back: what was seen of it in one round.
struct WayHome {
    /// The home of each loaded tablet that has one.
    let homes: [TabletID: String]
    /// Where nodes stand.
    let places: [NodeID: String]
    /// Every leader that was seen.
    let claims: [TabletID: [LeaderWatch.Claim]]
    /// The nodes that were lost together.
    let struck: Set<NodeID>
    let lostAt: Instant
    /// When they were started again; nil when they never were.
    let backAt: Instant?
    /// When all were led from home.
    let homeAt: Instant?

    /// How long nodes may take to start, to catch up and to be handed what they led. The directory
    /// looks ten times a second; a node that is behind is asked again after 2, 4, 8 s.
    static let homeSecondsMax = 30.0

    /// From the lost nodes' start until all were led from home.
    var seconds: Double? {
        guard let backAt, let homeAt else { return nil }
        return homeAt.since(backAt).seconds
    }

    /// What is wrong with the way back.
    var complaints: [String] {
        guard backAt != nil else { return [] }
        guard let seconds else { return ["tablets are not led from their homes again"] }
        guard seconds > WayHome.homeSecondsMax else { return [] }
        return ["led from home again after \(seconds) s; the bound is \(WayHome.homeSecondsMax) s"]
    }

    /// Tablets of a home that was lost which nobody else was seen to lead meanwhile: then their return
    /// would prove nothing.
    var complaintsAboutFailover: [String] {
        guard let backAt else { return ["the lost nodes were not started again"] }
        let cities = Set(struck.compactMap { places[$0] })
        let own = homes.filter { cities.contains($0.value) }.keys.sorted()
        guard !own.isEmpty else { return ["the lost nodes were nobody's home"] }
        return own.compactMap { tablet in
            let wasElsewhere = (claims[tablet] ?? []).contains { claim in
                claim.at >= lostAt && claim.at < backAt && !struck.contains(claim.node)
            }
            return wasElsewhere ? nil : "tablet \(tablet) was not led from elsewhere meanwhile"
        }
    }
}
