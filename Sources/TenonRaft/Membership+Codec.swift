package import TenonCore

/// The payload of a configuration entry, little-endian:
///
///     format version 1 (= 1) · acknowledgement rule of the incoming voters 1 · of the outgoing 1 ·
///     generation 8
///     incoming count 4 · members … · outgoing count 4 · members … · learner count 4 · members …
///     member: replica 8 · node 4 · site 1 (0 not told; 0 where no rule asks for it) ·
///     role flags 1 (bit 0 witness; the others must be 0)
extension Membership {
    private static let formatVersion: UInt8 = 1
    private static let memberBytes = Member.encodedBytes + 2

    /// The payload of an entry that makes this the group's configuration.
    package func encoded() -> [UInt8] {
        let count = incoming.count + outgoing.count + learners.count
        var writer = ByteWriter(capacity: 23 + count * Membership.memberBytes)
        writer.uint8(Membership.formatVersion)
        writer.uint8(acknowledgement.rule.rawValue)
        writer.uint8(outgoingAcknowledgement.rule.rawValue)
        writer.identifier(generation)
        let lists = [
            (incoming, acknowledgement), (outgoing, outgoingAcknowledgement),
            (learners, Acknowledgement.majority),
        ]
        for (list, acknowledgement) in lists {
            writer.uint32(UInt32(list.count))
            for (place, member) in list.enumerated() {
                member.encode(to: &writer)
                writer.identifier(
                    acknowledgement.sites.isEmpty ? .unknown : acknowledgement.sites[place])
                writer.uint8(member.roleFlags)
            }
        }
        return writer.take()
    }

    /// - Throws: `DecodingError` unless `payload` is exactly one well-formed configuration.
    package init(payload: [UInt8]) throws(DecodingError) {
        var reader = ByteReader(payload)
        let version = try reader.uint8()
        guard version == Membership.formatVersion else {
            throw .unknownKind(field: "membership version", value: UInt64(version))
        }
        let rule = try AcknowledgementRule(from: &reader)
        let outgoingRule = try AcknowledgementRule(from: &reader)
        let generation = try reader.identifier(Generation.self)
        let incoming = try Membership.members(under: rule, from: &reader)
        let outgoing = try Membership.members(under: outgoingRule, from: &reader)
        let learners = try Membership.members(under: .majority, from: &reader)
        try reader.finish()
        try self.init(
            incoming: incoming.members, outgoing: outgoing.members, learners: learners.members,
            generation: generation, acknowledgement: Acknowledgement(rule, sites: incoming.sites),
            outgoingAcknowledgement: Acknowledgement(outgoingRule, sites: outgoing.sites))
    }

    private static func members(
        under rule: AcknowledgementRule, from reader: inout ByteReader
    ) throws(DecodingError) -> (members: [Member], sites: [SiteID]) {
        let count = try reader.count("members", itemBytes: memberBytes, atMost: membersMax)
        var members: [Member] = []
        members.reserveCapacity(count)
        var sites: [SiteID] = []
        for _ in 0..<count {
            var member = try Member(from: &reader)
            let site = try reader.identifier(SiteID.self)
            guard rule != .majority || site == .unknown else {
                throw .malformed("a site that no rule asks for")
            }
            sites.append(site)
            try member.take(roleFlags: reader.uint8())
            members.append(member)
        }
        return (members, sites)
    }
}
