package import TenonCore

/// The payload of a configuration entry, little-endian:
///
///     format version 1 (= 1) · acknowledgement rule 1 · generation 8
///     incoming count 4 · members … · outgoing count 4 · members … · learner count 4 · members …
///     member: replica 8 · node 4 · role flags 1 (bit 0 witness, reserved: must be 0)
extension Membership {
    private static let formatVersion: UInt8 = 1
    private static let memberBytes = Member.encodedBytes + 1

    /// The payload of an entry that makes this the group's configuration.
    package func encoded() -> [UInt8] {
        let count = incoming.count + outgoing.count + learners.count
        var writer = ByteWriter(capacity: 22 + count * Membership.memberBytes)
        writer.uint8(Membership.formatVersion)
        writer.uint8(acknowledgement.rawValue)
        writer.identifier(generation)
        for list in [incoming, outgoing, learners] {
            writer.uint32(UInt32(list.count))
            for member in list {
                member.encode(to: &writer)
                writer.uint8(0)
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
        let ruleByte = try reader.uint8()
        guard let rule = AcknowledgementRule(rawValue: ruleByte) else {
            throw .unknownKind(field: "acknowledgement rule", value: UInt64(ruleByte))
        }
        let generation = try reader.identifier(Generation.self)
        let incoming = try Membership.members(from: &reader)
        let outgoing = try Membership.members(from: &reader)
        let learners = try Membership.members(from: &reader)
        try reader.finish()
        try self.init(
            incoming: incoming, outgoing: outgoing, learners: learners, generation: generation,
            acknowledgement: rule)
    }

    private static func members(from reader: inout ByteReader) throws(DecodingError) -> [Member] {
        let count = try reader.count("members", itemBytes: memberBytes, atMost: membersMax)
        var members: [Member] = []
        members.reserveCapacity(count)
        for _ in 0..<count {
            members.append(try Member(from: &reader))
            let flags = try reader.uint8()
            guard flags == 0 else { throw .unknownKind(field: "role flags", value: UInt64(flags)) }
        }
        return members
    }
}
