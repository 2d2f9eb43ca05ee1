package import TenonCore
package import TenonRaft
import TenonWire

/// What an operator's recovery will do (Rule C10). It says everything that ``FolderRecovery``
/// needs, so every survivor can carry out its part without the others.
package struct RecoveryPlan: Hashable, Sendable {
    package var cluster: ClusterID
    /// The epoch that ends.
    package var epoch: Epoch
    /// The one that begins: above the other, and not the one of any other plan.
    package var newEpoch: Epoch
    /// Declared destroyed, or fenced off for ever.
    package var lost: [Node]
    /// Those whose reports were read.
    package var survivors: [Node]
    /// Neither lost nor reported: what they hold is not known.
    package var missing: [Node]
    /// No write was acknowledged after this moment by a node of the old epoch, the distance that
    /// clocks may have (Rule S2) included.
    package var lossEnd: WallTime
    /// Tablets without a majority, the directory first.
    package var tablets: [Tablet]
    /// Tablets without a majority and without a copy that is whole: left as they are, by order.
    package var abandoned: [TabletID]

    package init(
        cluster: ClusterID, epoch: Epoch, newEpoch: Epoch, lost: [Node], survivors: [Node],
        missing: [Node], lossEnd: WallTime, tablets: [Tablet], abandoned: [TabletID]
    ) {
        self.cluster = cluster
        self.epoch = epoch
        self.newEpoch = newEpoch
        self.lost = lost
        self.survivors = survivors
        self.missing = missing
        self.lossEnd = lossEnd
        self.tablets = tablets
        self.abandoned = abandoned
    }

    package struct Node: Hashable, Sendable {
        package var id: NodeID
        package var name: String
        /// `HOST:PORT`; where nobody may answer if the node is lost.
        package var address: String

        package init(id: NodeID, name: String, address: String) {
            self.id = id
            self.name = name
            self.address = address
        }
    }

    /// One survivor's copy of a tablet, as its report has it.
    package struct Copy: Hashable, Sendable {
        package var member: Member
        package var last: LogPosition
        /// Why it cannot be used; empty when it can.
        package var problem: String
        /// Its entries that are cut, because the chosen copy has others or none in their place.
        package var cut: ClosedRange<LogIndex>?

        package init(
            member: Member, last: LogPosition, problem: String, cut: ClosedRange<LogIndex>?
        ) {
            self.member = member
            self.last = last
            self.problem = problem
            self.cut = cut
        }

        package var lastIndex: LogIndex { last.index }
        package var lastTerm: Term { last.term }
    }

    /// One tablet that is recovered.
    package struct Tablet: Hashable, Sendable {
        package var tablet: TabletID
        /// The copy that the tablet goes on from: of those that are whole the one with the highest
        /// (term, index).
        package var chosen: Member
        /// Where its log ends now. The new configuration comes right behind it.
        package var last: LogPosition
        /// The term of the new configuration's entry: above all that any survivor knows.
        package var term: Term
        /// What the chosen copy is told to be committed: what some survivor knows of.
        package var commit: LogIndex
        package var membership: Membership
        /// Every acknowledged write with a version up to here is kept; what was acknowledged later
        /// may be lost. Zero when no survivor knows of a committed command.
        package var lossStart: Timestamp
        /// The version of the newest command of the chosen copy.
        package var lastVersion: Timestamp
        /// All survivors' copies, the chosen one among them, by node.
        package var copies: [Copy]

        package init(
            tablet: TabletID, chosen: Member, last: LogPosition, term: Term, commit: LogIndex,
            membership: Membership, lossStart: Timestamp, lastVersion: Timestamp, copies: [Copy]
        ) {
            self.tablet = tablet
            self.chosen = chosen
            self.last = last
            self.term = term
            self.commit = commit
            self.membership = membership
            self.lossStart = lossStart
            self.lastVersion = lastVersion
            self.copies = copies
        }

        package var lastIndex: LogIndex { last.index }
        package var lastTerm: Term { last.term }

        /// The nodes of the new configuration's voters.
        package var voters: [NodeID] { membership.incoming.map(\.node).sorted() }
    }

    /// What the operator types so that the plan is carried out.
    package var confirmation: String {
        "recover \(cluster) losing \(lost.map(\.name).joined(separator: ","))"
    }

    /// From when on acknowledged writes of any tablet may be lost.
    package var lossStart: Timestamp? { tablets.map(\.lossStart).min() }
}

/// The bytes of a plan, little-endian.
///
///     magic 4 · version 2 · cluster 16 · epoch 8 · new epoch 8 · loss end 8 · lost · survivors ·
///     missing · tablet count 4 · tablets · abandoned count 4 · tablet 8… · CRC-32C 4
extension RecoveryPlan {
    private static let magic: UInt32 = 0x5052_4E54  // "TNRP"
    private static let formatVersion: UInt16 = 1

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 4_096)
        writer.uint32(RecoveryPlan.magic)
        writer.uint16(RecoveryPlan.formatVersion)
        writer.identifier(cluster)
        writer.identifier(epoch)
        writer.identifier(newEpoch)
        writer.uint64(lossEnd.milliseconds)
        for list in [lost, survivors, missing] {
            writer.uint32(UInt32(list.count))
            for node in list { node.encode(to: &writer) }
        }
        writer.uint32(UInt32(tablets.count))
        for tablet in tablets { tablet.encode(to: &writer) }
        writer.uint32(UInt32(abandoned.count))
        for tablet in abandoned { writer.identifier(tablet) }
        writer.uint32(CRC32C(writer.bytes).rawValue)
        return writer.take()
    }

    /// - Throws: `DecodingError` unless the bytes are exactly one whole plan.
    package init(decoding bytes: [UInt8]) throws(DecodingError) {
        var reader = try ByteReader.checked(
            bytes, magic: RecoveryPlan.magic, version: RecoveryPlan.formatVersion)
        cluster = try reader.identifier(ClusterID.self)
        epoch = try reader.identifier(Epoch.self)
        newEpoch = try reader.identifier(Epoch.self)
        lossEnd = WallTime(milliseconds: try reader.uint64())
        lost = try RecoveryPlan.nodes(from: &reader)
        survivors = try RecoveryPlan.nodes(from: &reader)
        missing = try RecoveryPlan.nodes(from: &reader)
        tablets = []
        let count = try reader.count("tablets", itemBytes: 80, atMost: Directory.tabletsMax)
        for _ in 0..<count { tablets.append(try Tablet(from: &reader)) }
        abandoned = []
        let left = try reader.count("abandoned", itemBytes: 8, atMost: Directory.tabletsMax)
        for _ in 0..<left { abandoned.append(try reader.identifier(TabletID.self)) }
        try reader.finish()
        guard newEpoch > epoch else { throw .malformed("an epoch that does not rise") }
    }

    private static func nodes(from reader: inout ByteReader) throws(DecodingError) -> [Node] {
        var nodes: [Node] = []
        let count = try reader.count("nodes", itemBytes: 12, atMost: Directory.nodesMax)
        for _ in 0..<count { nodes.append(try Node(from: &reader)) }
        return nodes
    }
}

extension RecoveryPlan.Node {
    /// Layout: id 4 · name · address.
    fileprivate func encode(to writer: inout ByteWriter) {
        writer.identifier(id)
        writer.lengthPrefixed(name)
        writer.lengthPrefixed(address)
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        id = try reader.identifier(NodeID.self)
        name = try reader.lengthPrefixedText("name", atMost: Limits.nameBytesMax)
        address = try reader.lengthPrefixedText("address", atMost: Limits.addressBytesMax)
    }
}

extension RecoveryPlan.Copy {
    private static let problemBytesMax = 8_192

    /// Layout: member 12 · last index 8 · last term 8 · problem · (flag 1, first 8 · last 8 cut).
    fileprivate func encode(to writer: inout ByteWriter) {
        member.encode(to: &writer)
        writer.identifier(last.index)
        writer.identifier(last.term)
        writer.lengthPrefixed(problem)
        writer.flag(cut != nil)
        if let cut {
            writer.identifier(cut.lowerBound)
            writer.identifier(cut.upperBound)
        }
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        member = try Member(from: &reader)
        last = try reader.position()
        problem = try reader.lengthPrefixedText(
            "problem", atMost: RecoveryPlan.Copy.problemBytesMax)
        if try reader.flag("cut") {
            let first = try reader.identifier(LogIndex.self)
            let end = try reader.identifier(LogIndex.self)
            guard first <= end else { throw .malformed("entries cut from \(first) to \(end)") }
            cut = first...end
        }
    }
}

extension RecoveryPlan.Tablet {
    /// Layout: tablet 8 · chosen 12 · last index 8 · last term 8 · term 8 · commit 8 · loss start 8 ·
    /// last version 8 · membership · copy count 4 · copies.
    fileprivate func encode(to writer: inout ByteWriter) {
        writer.identifier(tablet)
        chosen.encode(to: &writer)
        writer.identifier(last.index)
        writer.identifier(last.term)
        writer.identifier(term)
        writer.identifier(commit)
        writer.identifier(lossStart)
        writer.identifier(lastVersion)
        writer.lengthPrefixed(membership.encoded())
        writer.uint32(UInt32(copies.count))
        for copy in copies { copy.encode(to: &writer) }
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        tablet = try reader.identifier(TabletID.self)
        chosen = try Member(from: &reader)
        last = try reader.position()
        term = try reader.identifier(Term.self)
        commit = try reader.identifier(LogIndex.self)
        lossStart = try reader.identifier(Timestamp.self)
        lastVersion = try reader.identifier(Timestamp.self)
        membership = try reader.membership()
        copies = []
        let count = try reader.count("copies", itemBytes: 33, atMost: Directory.nodesMax)
        for _ in 0..<count { copies.append(try RecoveryPlan.Copy(from: &reader)) }
        guard term > last.term, commit <= last.index, membership.incoming.contains(chosen) else {
            throw .malformed("a recovery of tablet \(tablet) that does not fit its copy")
        }
    }
}
