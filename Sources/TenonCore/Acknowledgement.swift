/// Where an entry must be durable before it counts as committed, beside a majority (Rule C6).
package enum AcknowledgementRule: UInt8, CaseIterable, Sendable {
    /// A majority suffices, wherever it stands.
    case majority = 0
    /// On voters of two machine rooms.
    case dc = 1
    /// On voters of two cities.
    case city = 2

    package var name: String {
        switch self {
        case .majority: "majority"
        case .dc: "dc"
        case .city: "city"
        }
    }

    /// What the voters that must have it are not lost with; nil when nothing is asked.
    package var level: FailureLevel? {
        switch self {
        case .majority: nil
        case .dc: .dc
        case .city: .city
        }
    }
}

/// A room or a city, by a number that means something within one configuration only.
package struct SiteID: NumericIdentifier {
    package let rawValue: UInt8
    package init(_ rawValue: UInt8) { self.rawValue = rawValue }
    /// Nobody said where the voter stands. It counts for no site.
    package static let unknown = SiteID(0)
}

/// What commits of one set of voters need: the rule, and where each of these voters stands.
package struct Acknowledgement: Hashable, Sendable {
    package let rule: AcknowledgementRule
    /// The sites of the voters, in their order; none when a majority suffices.
    package let sites: [SiteID]

    package static let majority = Acknowledgement(.majority, sites: [])

    package init(_ rule: AcknowledgementRule, sites: [SiteID]) {
        self.rule = rule
        self.sites = rule == .majority ? [] : sites
    }

    /// Numbers places in the order in which they come first, so that equal divisions of voters are
    /// equal values whatever the places are called; nil is a place that nobody knows.
    package init<Place: Hashable>(_ rule: AcknowledgementRule, places: [Place?]) {
        var known: [Place] = []
        for case .some(let place) in places where !known.contains(place) { known.append(place) }
        self.init(
            rule,
            sites: places.map { place in
                place.flatMap { known.firstIndex(of: $0) }.map { SiteID(UInt8($0 + 1)) } ?? .unknown
            })
    }

    /// Whether it says of each of so many voters where it stands.
    package func fits(voters count: Int) -> Bool {
        rule == .majority ? sites.isEmpty : sites.count == count
    }

    /// The fewest voters that stand outside one site: with fewer than two of them the loss of one
    /// voter can end all writes.
    package var leastElsewhere: Int {
        let known = sites.filter { $0 != .unknown }
        let most = known.map { site in known.count { $0 == site } }.max() ?? 0
        return known.count - most
    }

    /// Whether writes go on without any one voter, as far as this rule is concerned.
    package var standsLossOfOne: Bool { rule == .majority || leastElsewhere >= 2 }

    /// Layout: rule 1 · count 1 · site 1 each.
    package func encode(to writer: inout ByteWriter) {
        writer.uint8(rule.rawValue)
        writer.uint8(UInt8(sites.count))
        for site in sites { writer.identifier(site) }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let rule = try AcknowledgementRule(from: &reader)
        let count = Int(try reader.uint8())
        guard count <= [Member].countMax else {
            throw .tooLong(field: "sites", count: count, bound: [Member].countMax)
        }
        guard rule != .majority || count == 0 else {
            throw .malformed("sites that no rule asks for")
        }
        var sites: [SiteID] = []
        for _ in 0..<count { sites.append(try reader.identifier(SiteID.self)) }
        self.init(rule, sites: sites)
    }
}

extension AcknowledgementRule {
    package init(from reader: inout ByteReader) throws(DecodingError) {
        let byte = try reader.uint8()
        guard let rule = AcknowledgementRule(rawValue: byte) else {
            throw .unknownKind(field: "acknowledgement rule", value: UInt64(byte))
        }
        self = rule
    }
}
