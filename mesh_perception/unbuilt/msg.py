"""Found as `mesh_perception.msg` only where the messages have not been built: the package's path ends here."""

raise ImportError(
    'mesh_perception.msg is not built here: `colcon build` in a ROS 2 workspace or `make setup` in a checkout builds it'
)
