# `colcon build --symlink-install` after a plain `colcon build`: ament_cmake_python wants a symbolic link where the plain
# build left a folder of copies, and fails. Removes that folder; the build makes the link.
set(_copies "${CMAKE_CURRENT_BINARY_DIR}/ament_cmake_python/${PROJECT_NAME}/${PROJECT_NAME}")
if(AMENT_CMAKE_SYMLINK_INSTALL AND IS_DIRECTORY "${_copies}" AND NOT IS_SYMLINK "${_copies}")
  file(REMOVE_RECURSE "${_copies}")
endif()
