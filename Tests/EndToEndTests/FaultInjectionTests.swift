import Foundation
import Testing

@Suite(
    "Faults by order", .serialized, .timeLimit(.minutes(5)), .enabled(if: Binary.isThere))
struct FaultInjectionTests {
    @Test("A node that was not told to take orders refuses them and says what to do")
    func denied() async throws {
        try await TestCluster.with(nodes: 1) { cluster in
            let order = try await cluster.tenon(
                "drill", "inject", "disk", "--node", "n1", "--hang")
            #expect(order.exitCode == 2)
            #expect(order.errors.contains("--enable-fault-injection"), "\(order.errors)")
            let clear = try await cluster.tenon("drill", "clear")
            #expect(clear.exitCode == 2)
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            #expect(try await !cluster.tenon("status").output.contains("fault injection"))
        }
    }

    @Test("A node becomes faulty by order, shows it in its status, and is well again")
    func obeyed() async throws {
        try await TestCluster.with(options: ["enable-fault-injection"]) { cluster in
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            // Both followers behind a cut: nothing can be committed, and nothing is reset.
            let cut = try await cluster.tenon(
                "drill", "inject", "link", "--node", "all", "--to", "all", "--cut")
            #expect(cut.exitCode == 0, "\(cut.errors)")
            let put = try await cluster.tenon("put", "b", "2", "--timeout", "500ms")
            // Unknown, or refused for certain when its leader had given up before it came.
            #expect([2, 3].contains(put.exitCode), "\(put.output)\(put.errors)")
            let isShown = try await Eventually.holds {
                try await cluster.tenon("status").output.contains("n1 (1 in force)")
            }
            #expect(isShown)
            #expect(try await cluster.tenon("drill", "clear").exitCode == 0)
            #expect(try await cluster.tenon("put", "b", "3").exitCode == 0)
            let stall = try await cluster.tenon(
                "drill", "inject", "disk", "--node", "all", "--for", "1s", "--stall", "50ms")
            #expect(stall.exitCode == 0, "\(stall.errors)")
            #expect(try await cluster.tenon("put", "c", "4").exitCode == 0)
            let isOver = try await Eventually.holds {
                try await cluster.tenon("status").output.contains("n1 (0 in force)")
            }
            #expect(isOver)
            #expect(try await cluster.tenon("scan").output == "a\t1\nb\t3\nc\t4\n")
        }
    }

    @Test("A node whose clients are cut off is silent to them and still takes orders")
    func silent() async throws {
        try await TestCluster.with(nodes: 1, options: ["enable-fault-injection"]) { cluster in
            let wrong = try await cluster.tenon(
                "drill", "inject", "clients", "--node", "n9", "--cut")
            #expect(wrong.exitCode == 2)
            let order = try await cluster.tenon(
                "drill", "inject", "clients", "--node", "n1", "--for", "2s", "--cut")
            #expect(order.exitCode == 0, "\(order.errors)")
            let get = try await cluster.tenon("get", "a", "--timeout", "300ms")
            #expect(get.exitCode == 2, "\(get.errors)")
            // It ends by itself: a new client cannot even learn whom to order.
            let isOver = try await Eventually.holds {
                try await cluster.tenon("put", "a", "1", "--timeout", "300ms").exitCode == 0
            }
            #expect(isOver)
        }
    }
}
