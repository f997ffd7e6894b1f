// Every weight of a lane, as codes of so many terms, and what it makes of an activation.
`timescale 1ns / 1ps
module every_weight;
  reg clk = 0, rst = 1;
  reg [3:0] control = 0;
  reg [`LANES*`BITS-1:0] weights = 0;
  reg [`LANES*8-1:0] activations = 0;
  wire signed [`SUM-1:0] sum;
  longint n, count, done, wrong = 0;
  int terms, term;

  qnn_pe pe (
      .clk(clk),
      .rst(rst),
      .control(control),
      .weights(weights),
      .activations(activations),
      .passing('0),
      .sum(sum)
  );

  always #2 clk = !clk;

  // The codes of a weight are the digits of its number; its activation is any, by that number.
  function automatic longint code(longint weight, int place);
    return (weight >> (`BITS * (terms - 1 - place))) & ((1 << `BITS) - 1);
  endfunction

  function automatic longint activation(longint weight);
    longint value = (weight * 167) & 255;
    return value < 128 ? value : value - 256;
  endfunction

  function automatic longint product(longint weight);
    longint total = 0, c, m;
    for (int place = 0; place < terms; place = place + 1) begin
      c = code(weight, place);
      m = c & ((1 << (`BITS - 1)) - 1);
      m = m == 0 ? 0 : 1 << (m - 1);
      total = total * (1 << `SHIFT) + (c >> (`BITS - 1) ? -m : m);
    end
    return total * activation(weight);
  endfunction

  initial begin
    if (!$value$plusargs("terms=%d", terms)) $fatal(1, "needs +terms");
    count = 1 << (`BITS * terms);
    repeat (4) @(negedge clk);
    rst = 0;
    for (n = 0; n < count * terms + `LATENCY; n = n + 1) begin
      term = int'(n % terms);
      control = n < count * terms ? {term == terms - 1, term == 0, 1'b1, 1'b1} : 0;
      weights[`BITS-1:0] = `BITS'(code(n / terms, term));
      activations[7:0] = 8'(activation(n / terms));
      @(negedge clk);
      done = n - (`LATENCY - 1);
      if (done >= 0 && done % terms == terms - 1 && sum != `SUM'(product(done / terms)))
        wrong = wrong + 1;
    end
    $display("%0d of %0d wrong", wrong, count);
    $finish;
  end
endmodule
