import Foundation
import TenonCore
import Testing

@testable import tenon

@Suite("Processes of a local cluster")
struct LocalClusterTests {
    @Test("A process is read from /proc whatever its name holds")
    func processStat() throws {
        let fields = (4...21).map(String.init).joined(separator: " ")
        let text = "77 (a) b (c)) T \(fields) 4711 23 24\n"
        let stat = try #require(ProcessStat(parsing: text))
        #expect(stat.state == .paused)
        #expect(stat.startTicks == 4_711)
        #expect(ProcessStat(parsing: "77 (cut") == nil)
        #expect(ProcessStat(parsing: "77 (a) S 1 2 3") == nil)
    }

    @Test("A killed process is over when its last thread is")
    func zombies() {
        func state(_ letter: String, threads: Int) -> ProcessState? {
            let fields = (4...19).map(String.init).joined(separator: " ")
            return ProcessStat(parsing: "7 (a) \(letter) \(fields) \(threads) 0 4711 0\n")?.state
        }
        #expect(state("Z", threads: 1) == .ended)
        #expect(state("Z", threads: 3) == .running)
        #expect(state("X", threads: 3) == .ended)
        #expect(state("S", threads: 3) == .running)
    }

    @Test("A pid file whose start time is not the process's names nobody")
    func staleIdentity() throws {
        let own = try #require(ProcessIdentity(runningAs: getpid()))
        #expect(own.state == .running)
        #expect(ProcessIdentity(fileText: own.fileText) == own)
        let stale = ProcessIdentity(pid: own.pid, startTicks: own.startTicks + 1)
        #expect(stale.state == .ended)
        // Signal 0 would reach any process of this number.
        #expect(!stale.signal(0))
        #expect(own.signal(0))
    }

    @Test("A pid file of anything else is refused", arguments: ["", "12", "-1 5", "1 2 3", "a b"])
    func strangePidFiles(text: String) {
        #expect(ProcessIdentity(fileText: text) == nil)
    }

    @Test("A launched program outlives nothing it should not, and its log has both outputs")
    func launch() async throws {
        let log = NSTemporaryDirectory() + "tenon-launch-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: log) }
        let identity = try ProcessLauncher.launch(
            "/bin/sh", arguments: ["-c", "echo out; echo err >&2; exec cat /dev/zero > /dev/null"],
            log: log)
        #expect(identity.signal(SIGKILL))
        while identity.state != .ended { await Task.yield() }
        identity.reap()
        #expect(ProcessIdentity(runningAs: identity.pid) != identity)
    }

    @Test("What a cluster was made with is written and read back, and gives each node its flags")
    func layout() throws {
        let layout = ClusterLayout(
            addresses: ["127.0.0.1:1", "127.0.0.1:2"], tablets: 4,
            serveOptions: ["--retention", "1s"])
        let path = NSTemporaryDirectory() + "tenon-layout-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try layout.write(to: path)
        #expect(try ClusterLayout.read(from: path) == layout)
        #expect(layout.clusterList == "n1=127.0.0.1:1,n2=127.0.0.1:2")
        let arguments = layout.serveArguments(of: layout.nodes[1], data: "/d")
        #expect(
            arguments == [
                "serve", "--name", "n2", "--data", "/d", "--listen", "127.0.0.1:2", "--cluster",
                "n1=127.0.0.1:1,n2=127.0.0.1:2", "--tablets", "4", "--retention", "1s",
            ])
    }

    @Test("A node that came joins the others; founders keep their list and numbers when some went")
    func layoutThatChanged() throws {
        var layout = ClusterLayout(
            addresses: ["127.0.0.1:1", "127.0.0.1:2"], tablets: 4, serveOptions: [])
        layout.founders = layout.nodes
        let joined = ClusterLayout.Node(name: "n4", address: "127.0.0.1:4", number: 7)
        layout.nodes = [layout.nodes[1], joined]
        #expect(layout.clusterList == "n1=127.0.0.1:1,n2=127.0.0.1:2")
        #expect(layout.nodes.map(layout.number) == [NodeID(2), NodeID(7)])
        #expect(layout.serveArguments(of: layout.nodes[0], data: "/d").contains("--cluster"))
        #expect(
            layout.serveArguments(of: joined, data: "/d") == [
                "serve", "--name", "n4", "--data", "/d", "--listen", "127.0.0.1:4", "--join",
                "127.0.0.1:2",
            ])
        let unknown = ClusterLayout.Node(name: "n5", address: "127.0.0.1:5")
        #expect(layout.number(of: unknown) == nil)
    }

    @Test("Serve options become flags; what the cluster sets itself is refused")
    func serveOptions() throws {
        let flags = try ClusterLayout.serveOptions(settings: [
            "retention=1s", "locality=city=a", "insecure",
        ])
        #expect(flags == ["--retention", "1s", "--locality", "city=a", "--insecure"])
        for wrong in ["data=/x", "", "=1", "--retention=1s"] {
            #expect(throws: ClusterError.self) {
                try ClusterLayout.serveOptions(settings: [wrong])
            }
        }
    }

    @Test("Free ports are free and differ, a taken one is seen")
    func ports() throws {
        let ports = try LoopbackPorts.free(5)
        #expect(Set(ports).count == 5)
        #expect(try ports.allSatisfy { try LoopbackPorts.isFree($0) })
        let taken = try LoopbackSocket.listening()
        defer { taken.close() }
        #expect(try !LoopbackPorts.isFree(try taken.localPort))
    }

    @Test("Free ports are below those of outgoing connections, on both loopback addresses")
    func portRange() throws {
        for host in LoopbackHost.allCases {
            let ports = try LoopbackPorts.free(3, on: host)
            #expect(ports.allSatisfy { $0 < 32_768 })
            #expect(try ports.allSatisfy { try LoopbackPorts.isFree($0, on: host) })
        }
    }

    @Test("A loopback address is written as a HOST:PORT that names it again")
    func loopbackHosts() {
        #expect(LoopbackHost.version4.address(port: 7501) == "127.0.0.1:7501")
        #expect(LoopbackHost.version6.address(port: 7501) == "[::1]:7501")
        for host in LoopbackHost.allCases {
            #expect(LoopbackHost(ofAddress: host.address(port: 1)) == host)
            let bytes = host.socketAddress(port: 0x1234)
            #expect(LoopbackHost.port(inSocketAddress: bytes) == 0x1234)
            #expect(bytes.count == (host == .version6 ? 28 : 16))
        }
    }

    @Test("A cluster's host is kept, and asking for the other one is an error that says so")
    func hostIsKept() throws {
        let folder = NSTemporaryDirectory() + "tenon-host-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let made = try LocalCluster.make(in: folder, as: .init(nodes: 2, host: .version6))
        #expect(made.endpoints.allSatisfy { $0.hasPrefix("[::1]:") })
        #expect(try LocalCluster.make(in: folder, as: .init()).endpoints == made.endpoints)
        let problem = #expect(throws: ClusterError.self) {
            try LocalCluster.make(in: folder, as: .init(host: .version4))
        }
        #expect(problem?.description.contains("--host") == true)
    }
}
