# What a newcomer types. Everything goes into .venv, out/ and the user's cache; `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup weights demo evaluate test lint bench soak latency view bag clean

# The Python that makes .venv; an existing one keeps its own unless PYTHON names another.
PYTHON ?= $(shell test -x .venv/bin/python && echo .venv/bin/python || echo python3)
VENV := .venv/bin

# Everything on this host alone, whatever else is on the network.
demo test view: export ROS_AUTOMATIC_DISCOVERY_RANGE = LOCALHOST

help:  ## This list
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup:  ## .venv with ROS 2 wheels, this checkout and its messages (PYTHON=python3.12 chooses the Python)
	@$(PYTHON) tools/setup/environment.py

weights: setup  ## Fetches the open models' weights and the demo's footage into the cache
	@$(VENV)/mesh-perception weights fetch

demo: weights  ## Real footage through the real node into out/demo (FRAMES=100, CAMERAS=all)
	@$(VENV)/python -m mesh_perception.ros.demo $(if $(FRAMES),--frames $(FRAMES)) $(if $(CAMERAS),--cameras $(CAMERAS))

evaluate: weights  ## Errors on real footage and on rendered scenes, into out/evaluate
	@$(VENV)/mesh-perception evaluate multiview
	@$(VENV)/mesh-perception evaluate synthetic

test: weights  ## All tests
	$(VENV)/python -m pytest

lint: setup  ## Style, without changing anything
	$(VENV)/ruff check
	$(VENV)/ruff format --check

bench: weights  ## Milliseconds a stage and memory
	@$(VENV)/mesh-perception benchmark

soak: weights  ## 10000 frames through the real node: does memory or latency grow? (FRAMES=300, OVERLOAD=60)
	@$(VENV)/python -m mesh_perception.ros.soak $(if $(FRAMES),--frames $(FRAMES)) $(if $(OVERLOAD),--overload $(OVERLOAD))

latency: weights  ## From image to people, beside the pipeline and the bare transport (FRAMES=100)
	@$(VENV)/python -m mesh_perception.ros.soak.latency $(if $(FRAMES),--frames $(FRAMES))

view: weights  ## Footage, the node and rerun's viewer, for machines without RViz (CAMERA=cam02, SAVE=FILE.rrd, CONNECT=URL)
	@$(PYTHON) tools/setup/environment.py view
	@$(VENV)/python -m mesh_perception.ros.demo.view $(if $(CAMERA),--camera $(CAMERA)) \
		$(if $(SAVE),--save "$(SAVE)") $(if $(CONNECT),--connect "$(CONNECT)") $(if $(FRAMES),--frames $(FRAMES))

bag: weights  ## People in a rosbag2 or MCAP file, written beside it (BAG=PATH, IMAGE=/topic, CAMERA_INFO=/topic)
	@$(VENV)/mesh-perception bag "$(or $(BAG),$(error BAG=PATH is missing))" $(if $(IMAGE),--image "$(IMAGE)") \
		$(if $(CAMERA_INFO),--camera-info "$(CAMERA_INFO)")

clean:  ## Removes .venv and everything built here; fetched weights stay in the cache
	rm -rf .venv out build install log *.egg-info
