// Steps from a file into one synthesised processing element, with every toggle recorded.
`timescale 1ns / 1ps
module activity;
  localparam int STEPS = `STEPS;
  localparam int WIDTH = `CONTROLS + `WEIGHTS + `ACTIVATIONS;
  reg [WIDTH-1:0] steps[0:STEPS-1];
  reg clk = 0, rst = 1;
  reg [WIDTH-1:0] step = 0;
  reg [`SUM-1:0] earlier[0:`PASSING];  // its own sums stand for its neighbours'
  reg [`SUM-1:0] passing = 0;
  wire [`SUM-1:0] sum;
  integer n, k, left = 0, results;

  qnn_pe pe (
      .clk(clk),
      .rst(rst),
      .control(step[`CONTROLS-1:0]),
      .weights(step[`CONTROLS+:`WEIGHTS]),
      .activations(step[`CONTROLS+`WEIGHTS+:`ACTIVATIONS]),
      .passing(passing),
      .sum(sum)
  );

  always #2 clk = !clk;

  initial begin
    $readmemh("steps.hex", steps);
    results = $fopen("sums.hex", "w");
    repeat (4) @(negedge clk);
    rst = 0;
    $dumpfile("activity.saif");
    $dumpvars(0, pe);
    for (k = 0; k <= `PASSING; k = k + 1) earlier[k] = 0;
    for (n = 0; n < STEPS + `LATENCY; n = n + 1) begin
      step = n < STEPS ? steps[n] : 0;
      @(negedge clk);
      $fdisplay(results, "%h", sum);
      passing = left > 0 ? earlier[left] : 0;
      if (left > 0) left = left - 1;
      if (n >= `LATENCY - 1 && steps[n-(`LATENCY-1)][`LAST]) begin
        for (k = `PASSING; k > 0; k = k - 1) earlier[k] = earlier[k-1];
        earlier[0] = sum;
        left = `PASSING;
      end
    end
    $finish;
  end
endmodule

// The part of the block that a product takes, as Yosys instantiates it.
module DSP48E2 #(
    parameter ACASCREG = 0, ADREG = 0, ALUMODEREG = 0, AREG = 0, BCASCREG = 0, BREG = 0,
    parameter CARRYINREG = 0, CARRYINSELREG = 0, CREG = 0, DREG = 0, INMODEREG = 0, MREG = 0,
    parameter OPMODEREG = 0, PREG = 0,
    parameter AMULTSEL = "A", A_INPUT = "DIRECT", BMULTSEL = "B", B_INPUT = "DIRECT",
    parameter USE_MULT = "MULTIPLY", USE_SIMD = "ONE48"
) (
    input [29:0] A, ACIN,
    input [17:0] B, BCIN,
    input [47:0] C, PCIN,
    input [26:0] D,
    input [3:0] ALUMODE,
    input [4:0] INMODE,
    input [8:0] OPMODE,
    input [2:0] CARRYINSEL,
    input CARRYIN,
    output signed [47:0] P
);
  assign P = $signed(A[26:0]) * $signed(B);
endmodule
