// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "spillway",
    products: [
        .library(name: "Spillway", targets: ["Spillway"]),
        .library(name: "SpillwayCommand", targets: ["SpillwayCommand"]),
        .library(name: "SpillwayTesting", targets: ["SpillwayTesting"]),
        .executable(name: "spillway", targets: ["spillway"]),
        .plugin(name: "CatalogPlugin", targets: ["CatalogPlugin"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // System libraries and one shim header; nothing here has logic of its own.
        .systemLibrary(name: "CPcap", pkgConfig: "libpcap", providers: [.apt(["libpcap-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CLinux"),

        // The layers, lowest first. Arrows point at what may be imported (Tests/BoundaryTests checks them).
        .target(name: "Dataplane", dependencies: ["CLinux"], plugins: ["CatalogPlugin"]),
        .target(name: "GraphFile", dependencies: ["Dataplane", "CYAML"]),
        .target(name: "Capture", dependencies: ["Dataplane", "CLinux", "CPcap", "CZlib"]),
        .target(name: "Live", dependencies: ["Dataplane", "CLinux", "CPcap"]),
        .target(name: "Control"),
        .target(
            name: "Model",
            dependencies: ["Dataplane", .product(name: "Histogram", package: "hdrhistogram-swift")]
        ),
        .target(name: "Placement", dependencies: ["Model"]),
        .target(name: "Reports", dependencies: ["Model", "Placement", "Dataplane"]),
        .target(
            name: "Spillway",
            dependencies: ["Dataplane", "GraphFile", "Capture", "Live", "Control", "Model", "Placement", "Reports"],
            plugins: ["CatalogPlugin"]
        ),
        .target(
            name: "SpillwayCommand",
            dependencies: ["Spillway", "Control", .product(name: "ArgumentParser", package: "swift-argument-parser")]
        ),
        .executableTarget(name: "spillway", dependencies: ["SpillwayCommand"]),
        // The laws that elements keep, for tests here and in users' packages, with any library for tests.
        .target(name: "SpillwayTesting", dependencies: ["Dataplane", "Capture"]),

        .executableTarget(
            name: "spillway-benchmarks",
            dependencies: ["Spillway", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Sources/Benchmarks"
        ),

        // Collects element types, and the words of their doc comments, into a catalog at build time: here and in users' packages.
        .executableTarget(name: "catalog-tool"),
        .plugin(name: "CatalogPlugin", capability: .buildTool(), dependencies: ["catalog-tool"]),

        // Tests/XTests tests Sources/X, folder for folder (Tests/BoundaryTests checks it).
        .target(name: "TestSupport", dependencies: ["Spillway"], path: "Tests/TestSupport"),
        // Attacks under callgrind (SpillwayTests/EndToEnd/AttackCostTests).
        .executableTarget(
            name: "attack-meter",
            dependencies: ["Spillway", "TestSupport"],
            path: "Tests/AttackMeter"
        ),
        .testTarget(name: "BoundaryTests"),
        .testTarget(name: "CaptureTests", dependencies: ["Capture", "Dataplane", "CZlib", "TestSupport"]),
        .testTarget(name: "ControlTests", dependencies: ["Control", "TestSupport"]),
        .testTarget(
            name: "DataplaneTests",
            dependencies: ["Dataplane", "Capture", "CPcap", "Spillway", "SpillwayTesting", "TestSupport"]
        ),
        .testTarget(name: "DocumentationTests", dependencies: ["TestSupport", "spillway"]),
        .testTarget(name: "FuzzTests", dependencies: ["Dataplane"], exclude: ["Driver.swift", "Seeds"]),
        .testTarget(
            name: "GraphFileTests",
            dependencies: ["GraphFile", "Dataplane", "Model", "Reports", "TestSupport"],
            exclude: ["Diagnostics"]
        ),
        .testTarget(name: "LiveTests", dependencies: ["Live", "Dataplane", "TestSupport", "spillway"]),
        .testTarget(name: "ModelTests", dependencies: ["Model", "Dataplane", "TestSupport"]),
        .testTarget(name: "PlacementTests", dependencies: ["Placement", "Model", "Dataplane"]),
        .testTarget(name: "ReportsTests", dependencies: ["Dataplane", "GraphFile", "Reports", "TestSupport"]),
        .testTarget(
            name: "SpillwayCommandTests",
            dependencies: ["TestSupport", "spillway"],
            exclude: ["Snapshots"]
        ),
        .testTarget(name: "SpillwayTests", dependencies: ["Spillway", "TestSupport", "attack-meter"]),
        .testTarget(name: "SpillwayTestingTests", dependencies: ["Dataplane", "SpillwayTesting"]),
    ]
)

// scripts/fuzz.sh: the same sources as a program that libFuzzer drives, and nothing else. No other build could link it.
if Context.environment["SPILLWAY_FUZZ"] != nil {
    package.products = []
    package.targets.removeAll { !["CLinux", "Dataplane", "catalog-tool", "CatalogPlugin"].contains($0.name) }
    package.targets.append(
        .executableTarget(
            name: "spillway-fuzz",
            dependencies: ["Dataplane"],
            path: "Tests/FuzzTests",
            exclude: ["FuzzTests.swift", "Seeds"]
        )
    )
}

// scripts/release-tests.sh: what those tests need that are run in a release build, and nothing else.
if Context.environment["SPILLWAY_RELEASE_TESTS"] != nil {
    let tests = ["DataplaneTests", "ModelTests", "SpillwayTests"]
    package.products = []
    package.targets.removeAll { $0.type == .test && !tests.contains($0.name) }
    package.targets.removeAll { ["SpillwayCommand", "spillway", "spillway-benchmarks"].contains($0.name) }
}

// scripts/race-check.sh: several threads under ThreadSanitizer, and nothing else: the compiler cannot instrument the model.
if Context.environment["SPILLWAY_RACE_CHECK"] != nil {
    let needed = [
        "CLinux", "CPcap", "CYAML", "CZlib", "Dataplane", "Capture", "GraphFile", "catalog-tool", "CatalogPlugin",
    ]
    package.products = []
    package.targets.removeAll { !needed.contains($0.name) }
    package.targets.append(
        .executableTarget(
            name: "race-check",
            dependencies: ["Dataplane", "Capture", "GraphFile"],
            path: "Tests/RaceCheck"
        )
    )
}
