import TenonCore
import TenonNode
import TenonWire
import Testing

/// Who is let in, and what is remembered of whom (Rule I2).
@Suite struct PeerRegistryTests {
    private let cluster = ClusterID(high: 1, low: 2)

    private func registry() -> PeerRegistry {
        PeerRegistry(
            me: NodeID(1), members: [NodeID(1), NodeID(2), NodeID(3)], memberListDigest: 77)
    }

    private func hello(_ change: (inout PeerHello) -> Void = { _ in }) -> PeerHello {
        var hello = PeerHello(
            stream: .consensus, receiver: NodeID(1),
            identity: PeerIdentity(
                cluster: cluster, node: NodeID(2), folder: FolderID(high: 5, low: 6),
                boot: BootNumber(3), nonce: 9, epoch: .first, hasEntries: true,
                logPosition: 100, memberListDigest: 77))
        change(&hello)
        return hello
    }

    private func refusal(
        _ registry: PeerRegistry, _ change: (inout PeerHello) -> Void
    ) -> String? {
        registry.refusal(of: hello(change), cluster: cluster, epoch: .first)
    }

    @Test func `a member is welcome`() {
        #expect(refusal(registry()) { _ in } == nil)
        #expect(refusal(registry()) { $0.identity.cluster = .none } == nil)
        #expect(registry().refusal(of: hello(), cluster: .none, epoch: .first) == nil)
    }

    @Test func `strangers are refused, each for its reason`() {
        let registry = registry()
        let changes: [(String, (inout PeerHello) -> Void)] = [
            ("version", { $0.versions = ProtocolRange(oldest: 90, newest: 91) }),
            ("not another member", { $0.identity.node = NodeID(1) }),
            ("not another member", { $0.identity.node = NodeID(7) }),
            ("check the addresses", { $0.receiver = NodeID(3) }),
            ("--cluster", { $0.identity.memberListDigest = 78 }),
            ("belongs to cluster", { $0.identity.cluster = ClusterID(high: 8, low: 8) }),
            ("epoch", { $0.identity.epoch = Epoch(0) }),
        ]
        for (part, change) in changes {
            let reason = refusal(registry, change)
            #expect(reason?.contains(part) == true, "\(part): \(reason ?? "welcome")")
        }
    }

    @Test func `a remembered node is held to its folder, boot, nonce and position`() {
        var registry = registry()
        #expect(registry.remember(hello().identity, now: .zero) != nil)
        #expect(registry.remember(hello().identity, now: .zero) == nil, "nothing new")
        #expect(refusal(registry) { _ in } == nil)
        #expect(refusal(registry) { $0.identity.boot = BootNumber(4) } == nil)
        let changes: [(String, (inout PeerHello) -> Void)] = [
            ("wiped", { $0.identity.folder = FolderID(high: 5, low: 7) }),
            ("rolled back or cloned", { $0.identity.boot = BootNumber(2) }),
            ("runs twice", { $0.identity.nonce = 10 }),
            (
                "rolled back",
                {
                    $0.identity.boot = BootNumber(4)
                    $0.identity.logPosition = 99
                }
            ),
        ]
        for (part, change) in changes {
            let reason = refusal(registry, change)
            #expect(reason?.contains(part) == true, "\(part): \(reason ?? "welcome")")
        }
    }

    @Test func `what the log remembered holds after a restart`() throws {
        var first = registry()
        let remembered = first.remember(hello().identity, now: .zero)
        let memory = try #require(remembered)
        var second = registry()
        second.restore(memory, of: NodeID(2))
        second.restore(memory, of: NodeID(9))
        #expect(second.memory(of: NodeID(2)) == memory)
        // Kept, though it is no member: this node may not have heard yet that it joined.
        #expect(second.memory(of: NodeID(9)) == memory)
        let rolledBack = refusal(second) {
            $0.identity.boot = BootNumber(4)
            $0.identity.logPosition = 99
        }
        #expect(rolledBack?.contains("rolled back") == true)
    }

    @Test func `a hello that newer messages overtook is welcome within one boot`() {
        var registry = registry()
        _ = registry.remember(hello().identity, now: .zero)
        _ = registry.advance(NodeID(2), to: 150, now: .zero)
        #expect(refusal(registry) { $0.identity.logPosition = 120 } == nil)
    }

    @Test func `positions are written each minute or every 64 MiB, and held in memory at once`() {
        var registry = registry()
        _ = registry.remember(hello().identity, now: .zero)
        #expect(registry.advance(NodeID(2), to: 90, now: .zero) == nil)
        #expect(registry.memory(of: NodeID(2))?.position == 100, "never back")
        let soon = Instant.zero + .seconds(1)
        #expect(registry.advance(NodeID(2), to: 101, now: soon) == nil)
        #expect(registry.memory(of: NodeID(2))?.position == 101)
        #expect(registry.advance(NodeID(2), to: 100 + 16_384, now: soon)?.position == 16_484)
        let later = soon + .seconds(60)
        #expect(registry.advance(NodeID(2), to: 16_485, now: later)?.position == 16_485)
        #expect(registry.advance(NodeID(3), to: 1, now: later) == nil, "never heard")
    }

    @Test func `a new boot keeps the highest position`() {
        var registry = registry()
        _ = registry.remember(hello().identity, now: .zero)
        _ = registry.advance(NodeID(2), to: 150, now: .zero)
        let next = hello {
            $0.identity.boot = BootNumber(4)
            $0.identity.logPosition = 151
        }
        #expect(registry.remember(next.identity, now: .zero)?.position == 151)
    }

    @Test func `what others remember counts, unless this node knows better`() {
        var registry = registry()
        let first = PeerMemory(hello().identity)
        func told(_ change: (inout PeerMemory) -> Void) -> PeerMemory? {
            var memory = first
            change(&memory)
            return registry.learn(memory, of: NodeID(2), now: .zero)
        }
        #expect(registry.isNewLife(hello().identity))
        #expect(told { _ in } == first)
        #expect(!registry.isNewLife(hello().identity))
        #expect(told { $0.folder = FolderID(high: 7, low: 7) } == nil, "another folder")
        #expect(told { $0.boot = BootNumber(2) } == nil, "an earlier life")
        #expect(told { $0.nonce = 10 } == nil, "another life of the same number")
        #expect(registry.memory(of: NodeID(2)) == first)

        #expect(told { $0.position = 130 } == nil, "the same life goes on: in memory only")
        #expect(registry.memory(of: NodeID(2))?.position == 130)
        #expect(
            told {
                $0.boot = BootNumber(4)
                $0.nonce = 11
                $0.position = 90
            }?.position == 130, "no position is taken back")
        #expect(refusal(registry) { _ in }?.contains("rolled back") == true)
        #expect(registry.learn(first, of: NodeID(1), now: .zero) == nil, "of this node itself")
        #expect(registry.learn(first, of: NodeID(9), now: .zero) == nil, "of no member")
    }
}
