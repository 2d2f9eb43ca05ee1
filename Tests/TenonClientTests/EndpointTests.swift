import Testing

@testable import TenonClient

@Suite struct EndpointTests {
    @Test(arguments: [
        ("127.0.0.1:7501", "127.0.0.1", 7501), ("[::1]:7501", "::1", 7501),
        ("node-1.example:1", "node-1.example", 1), ("[fe80::1%eth0]:65535", "fe80::1%eth0", 65_535),
    ])
    func `An endpoint is read and written alike`(text: String, host: String, port: Int) throws {
        let endpoint = try Endpoint(text)
        #expect(endpoint.host == host)
        #expect(endpoint.port == port)
        #expect(endpoint.description == text)
    }

    @Test(arguments: [
        "", ":", "host", "host:", ":7501", "host:0", "host:65536", "host:x", "::1:7501", "[]:7501",
        "host:-1",
    ])
    func `What is no endpoint is refused as invalid`(text: String) {
        #expect { try Endpoint(text) } throws: { ($0 as? TenonError)?.kind == .invalid }
    }

    @Test func `A list is separated by commas and not empty`() throws {
        #expect(
            try Endpoint.list("a:1, b:2,[::1]:3").map(\.description) == ["a:1", "b:2", "[::1]:3"])
        #expect(throws: TenonError.self) { try Endpoint.list(" ,") }
    }
}

@Suite struct PageTokenTests {
    @Test func `Both kinds go round`() throws {
        for place: ScanToken.Place in [.border("m"), .border(""), .within(.init(7), token: "t")] {
            let token = ScanToken(place)
            #expect(try ScanToken(bytes: token.bytes) == token)
        }
    }

    @Test(arguments: [[], [1], [2, 1], [1, 3], [1, 2, 0, 0]] as [[UInt8]])
    func `Garbage is refused as invalid`(bytes: [UInt8]) {
        #expect { try ScanToken(bytes: Bytes(bytes)) } throws: {
            ($0 as? TenonError)?.kind == .invalid
        }
    }
}
import TenonCore
