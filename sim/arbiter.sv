// Shares `paths` data paths, each of one beat a cycle, among ports: round robin, burst by burst.
//
// A port that is `open` may move a beat in this cycle. One that has begun a burst stays open until
// the burst's last beat has moved. Where every port can have a path of its own all are open always.

module qnn_arbiter #(
  parameter PORTS = 2
) (
  input clk,
  input rst,
  input [31:0] paths,
  input [PORTS-1:0] ready,  // could move a beat, if open
  input [PORTS-1:0] last,  // the beat ends its burst
  output reg [PORTS-1:0] open
);
  reg [PORTS-1:0] holds;
  reg [31:0] first, after;  // the port that is asked first, now and in the next cycle
  reg [31:0] used;
  integer i, port;

  always @* begin
    open = holds;
    after = first;
    used = 0;
    for (i = 0; i < PORTS; i = i + 1) used = used + holds[i];
    for (i = 0; i < PORTS; i = i + 1) begin
      port = (first + i) % PORTS;
      if (ready[port] && !holds[port] && used < paths) begin
        open[port] = 1;
        used = used + 1;
        after = (port + 1) % PORTS;
      end
    end
    if (paths >= PORTS) open = {PORTS{1'b1}};
  end

  always @(posedge clk) begin
    first <= rst ? 0 : after;
    for (i = 0; i < PORTS; i = i + 1)
      holds[i] <= !rst && open[i] && (ready[i] ? !last[i] : holds[i]);
  end
endmodule
